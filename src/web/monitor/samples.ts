// An instance's measured history as JSON, for its charts: columns, because that is what a chart takes and because a
// thousand objects with the same six keys are mostly keys.
import { loadInstance } from '../../store/instances.ts';
import { selectInstanceSampleRange } from '../../store/samples.ts';
import { currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import type { Route } from '../routes.ts';

/** What the rings hold. */
const longestMs = 7_200_000;
const standardMs = 1_800_000;

export function showSamples(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const instance = await loadInstance(deps.db, currentUser(req), String(req.params['id']));
    const asked = Number(req.query['minutes']) * 60_000;
    const to = deps.clock.now();
    const from = to - (asked > 0 ? Math.min(asked, longestMs) : standardMs);
    const samples = await selectInstanceSampleRange(deps.db, instance.subjectId, from, to);
    res.json({
      pollIntervalMs: deps.config.pollIntervalMs,
      memoryMib: instance.memoryMib,
      at: samples.map((sample) => sample.at),
      cpuPercent: samples.map((sample) => sample.cpuPercent),
      memoryUsedMib: samples.map((sample) => sample.memoryUsedMib),
      diskReadBytesPerSecond: samples.map((sample) => sample.diskReadBytesPerSecond),
      diskWriteBytesPerSecond: samples.map((sample) => sample.diskWriteBytesPerSecond),
      networkReceiveBytesPerSecond: samples.map((sample) => sample.networkReceiveBytesPerSecond),
      networkTransmitBytesPerSecond: samples.map((sample) => sample.networkTransmitBytesPerSecond),
    });
  };
}
