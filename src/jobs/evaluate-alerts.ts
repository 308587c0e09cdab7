// Looks whether any alert rule holds, and writes what is to be told. What it reads are samples and states in the database: it
// asks no host.
import { performance } from 'node:perf_hooks';
import type { OperationDeps } from '../operations/deps.ts';
import { evaluateAlerts } from '../operations/incidents.ts';
import { loadNMinusOne, type NMinusOne } from '../operations/n-minus-1.ts';

export interface EvaluateDeps extends Pick<OperationDeps, 'db' | 'clock' | 'log'> {
  readonly pollIntervalMs: number;
  readonly mailEnabled: boolean;
  /** of all jobs, milliseconds */
  readonly jobPeriods: ReadonlyMap<string, number>;
}

/** What N−1 may take of the time. */
const nMinusOneShare = 0.01;

/** The run of the job; it remembers N−1, which is dear in a large cloud and changes slowly. */
export function createEvaluateAlerts({ db, clock, log, ...more }: EvaluateDeps): () => Promise<void> {
  const nMinusOne = sparing(loadNMinusOne);
  return async () => {
    const result = await evaluateAlerts({ ...more, db, nMinusOne }, clock.now());
    if (result.opened > 0 || result.resolved > 0) log.info(result, 'incidents');
  };
}

/** The last answer for a hundred times as long as it took. */
function sparing(load: typeof loadNMinusOne): typeof loadNMinusOne {
  let last: { readonly answer: NMinusOne; readonly until: number } | undefined;
  return async (db, now) => {
    if (last !== undefined && performance.now() < last.until) return last.answer;
    const began = performance.now();
    const answer = await load(db, now);
    last = { answer, until: performance.now() + (performance.now() - began) / nMinusOneShare };
    return answer;
  };
}
