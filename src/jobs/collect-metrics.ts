// One polling tick: hosts side by side, a deadline each. A host that is dead or frozen slows nothing but itself.
import type { Host } from '../model/host.ts';
import { clusterOwnerId } from '../model/metric.ts';
import { deviceNumbers } from '../model/metrics.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { selectHostPools, selectHosts } from '../store/hosts.ts';
import { selectPolledInstances } from '../store/instances.ts';
import { insertSampleSubject } from '../store/sample-subjects.ts';
import { selectPools } from '../store/storage-pools.ts';
import { observeInstances } from './observe-instances.ts';
import { inPace } from './pace.ts';
import { pollHost, type HostReadings, type PolledHost } from './poll-host.ts';
import { createPoolPolls } from './poll-pools.ts';
import { SampleWriter } from './sample-writer.ts';
import { TickSummary } from './tick-summary.ts';

/** Longer: a frozen host's tick runs into the next one. Shorter: a busy daemon with hundreds of domains is not measured. */
const longestDeadlineMs = 8000;
const shortestDeadlineMs = 2000;
/** More: answers of many hosts at once keep pages waiting. Fewer: a tick of a thousand hosts takes longer. */
const pace = { places: 32, patienceMs: 250 };

export type CollectDeps = Pick<OperationDeps, 'db' | 'hosts' | 'clock' | 'log'>;

export interface CollectOptions { readonly pollIntervalMs: number; /** between two readings of memory and disks */ readonly detailIntervalMs?: number }

/** The run of the job; it remembers the counters of the tick before. */
export function createCollectMetrics(deps: CollectDeps, { pollIntervalMs, detailIntervalMs = 60_000 }: CollectOptions): (signal: AbortSignal) => Promise<void> {
  const readings = new Map<string, HostReadings>();
  const unmeasured = new Set<string>();
  let clusterSubject: number | undefined;
  const pools = createPoolPolls(deps, pollIntervalMs);
  const deadlineMs = Math.max(shortestDeadlineMs, Math.min(longestDeadlineMs, pollIntervalMs * 0.8));
  // hosts take turns with their dear readings, so that each tick costs the same
  const detailTicks = Math.max(1, Math.round(detailIntervalMs / pollIntervalMs));
  const isDetailDue = (host: Host): boolean => {
    const tick = Math.round(deps.clock.now() / pollIntervalMs);
    const detailMs = readings.get(host.id)?.detailMs ?? 0;
    return (tick + host.subjectId) % detailTicks === 0 || performance.now() - detailMs > detailIntervalMs + pollIntervalMs / 2;
  };

  return async (signal) => {
    const [hosts, allPools, hostPools] = await Promise.all([selectHosts(deps.db), selectPools(deps.db), selectHostPools(deps.db)]);
    const instances = await selectPolledInstances(deps.db, hosts.map((host) => host.id));
    const writer = new SampleWriter(deps);
    const summary = new TickSummary();
    const poolTick = pools.tick(allPools, writer);
    for (const id of readings.keys()) if (!instances.has(id)) readings.delete(id);

    const poll = async (host: Host): Promise<void> => {
      try {
        const options = { timeoutMs: deadlineMs, signal };
        const startedAt = performance.now();
        const polled = await pollHost(deps, {
          host, instances: instances.get(host.id) ?? [], before: readings.get(host.id), isDetailDue: isDetailDue(host), detailMaxAgeMs: 1.5 * detailIntervalMs,
        }, options);
        deps.log.debug({ hostId: host.id, host: host.name, elapsedMs: Math.round((performance.now() - startedAt) * 10) / 10 }, 'host polled');
        readings.set(host.id, polled.readings);
        unmeasured.delete(host.id);
        summary.add(host, polled);
        write(writer, polled);
        // only a host that answers: a silent one would keep a shared pool from those that do. A frozen NFS server must not
        // look like a frozen host, nor hold up the tick, so pools have an outcome of their own and what is left of the time
        const left = Math.max(shortestDeadlineMs, deadlineMs - (performance.now() - startedAt));
        await Promise.all([poolTick.pollHostPools(host, hostPools.get(host.id), { timeoutMs: left, signal }), observeInstances(deps, host, polled, options)]);
      } catch (error) {
        if (signal.aborted) return;
        // once for each time it falls silent; whether it is reachable is for watch-hosts to say
        if (!unmeasured.has(host.id)) deps.log.warn({ hostId: host.id, host: host.name, err: error }, 'host not measured');
        unmeasured.add(host.id);
        writer.hosts.add([{ subjectId: host.subjectId, at: deps.clock.now(), up: 0 }]);
      }
    };

    // a fenced host is no part of the cloud until it has checked in
    const fenced = hosts.filter((host) => host.state === 'fenced');
    writer.hosts.add(fenced.map((host) => ({ subjectId: host.subjectId, at: deps.clock.now(), up: 0 })));
    const asked = hosts.filter((host) => host.state !== 'fenced');
    // who was silent the last time takes nobody's place
    const silent = asked.filter((host) => unmeasured.has(host.id)).map(poll);
    await Promise.all([inPace(asked.filter((host) => !unmeasured.has(host.id)), pace, poll), ...silent]);
    clusterSubject ??= await insertSampleSubject(deps.db, clusterOwnerId, deps.clock.now());
    if (!signal.aborted) await summary.write(deps, writer, poolTick.pools(), clusterSubject);
    await writer.finish();
  };
}

function write(writer: SampleWriter, { sample, instances, details }: PolledHost): void {
  writer.hosts.add([sample]);
  writer.instances.add(instances.map((each) => each.sample));
  for (const { instance, detail, before } of details) {
    if (detail.isRated) writer.devices.add(detail.devices.map((device) => ({ ...device, subjectId: instance.subjectId })));
    const isNew = before === undefined || before.devices.length !== detail.devices.length || detail.devices.some(({ name }, index) => before.devices[index]?.name !== name);
    // libvirt does not tell an interface's MAC address here; ours have one interface
    if (isNew) writer.deviceNames.add(detail.devices.map(({ device, name }) => ({ subjectId: instance.subjectId, device, name: device === deviceNumbers.interface ? instance.mac : name })));
  }
}
