// Live migration between two fake hosts of one process, peer to peer: the memory takes its time, then the domain is there.
import { setTimeout as delay } from 'node:timers/promises';
import { FakeDomain, migrationStats, state, ullong, type FakeJob } from './domain.ts';
import { refuse } from './errors.ts';
import { event, reason, type FakeHost } from './host.ts';

/** All fake hosts of this process by the URIs under which they are reached. */
export const reachable = new Map<string, FakeHost>();

/** VIR_MIGRATE_* */
const flag = { persistDest: 8, undefineSource: 16 } as const;

const withoutParameters = (uri: string): string => (uri.includes('socket=') ? uri : uri.replace(/\?.*$/, ''));

export async function migrate(source: FakeHost, uuid: string, destinationUri: string, flags: number): Promise<void> {
  const domain = source.running(uuid);
  if (domain.job !== undefined) throw refuse.jobActive();
  const target = reachable.get(withoutParameters(destinationUri));
  if (target === undefined) throw refuse.noConnection(destinationUri);
  assertWelcome(source, target, domain);
  const job: FakeJob = { startedAt: source.clock(), durationMs: source.migrationMs, memoryBytes: domain.live.memoryKib * 1024, canceled: false };
  domain.job = job;
  try {
    await copyMemory(source, domain, job);
  } finally {
    domain.job = undefined;
  }
  handOver(source, domain, target, flags);
  const params = { ...migrationStats(job, job.durationMs), downtime: ullong(45), downtime_net: ullong(40) };
  domain.completedJob = params;
  source.onEvent({ type: 'job-completed', domain: { ...domain.ref, id: -1 }, params });
}

function assertWelcome(source: FakeHost, target: FakeHost, domain: FakeDomain): void {
  if (target.hostUuid === source.hostUuid) throw refuse.sameHost(source.hostUuid);
  target.assertNoOther(domain.live);
  if (target.domains.get(domain.uuid)?.isActive === true) throw refuse.alreadyRunning();
  for (const { network } of domain.live.interfaces) if (network !== null && !target.network(network).active) throw refuse.networkInactive(network);
}

/** In three rounds, as a real one goes round again for the memory that was written meanwhile. */
async function copyMemory(source: FakeHost, domain: FakeDomain, job: FakeJob): Promise<void> {
  const { id } = domain;
  for (let iteration = 1; iteration <= 3; iteration++) {
    source.onEvent({ type: 'migration-iteration', domain: domain.ref, iteration });
    await delay(job.durationMs / 3);
    if (job.canceled) throw refuse.migrationCanceled();
    if (domain.id !== id) throw refuse.migrationFailed('domain is not running');
  }
}

function handOver(source: FakeHost, domain: FakeDomain, target: FakeHost, flags: number): void {
  const wasPaused = domain.state === state.paused;
  source.tell(domain, event.suspendedMigrated);
  source.settle();
  source.closeDisks(domain);
  try {
    receive(target, domain, flags, wasPaused);
  } catch (error) {
    source.openDisks(domain, domain.live);
    source.tell(domain, event.resumedUnpaused);
    throw error;
  }
  if ((flags & flag.undefineSource) !== 0 && domain.defined !== null) {
    domain.defined = null;
    source.tell(domain, event.undefinedRemoved);
  }
  domain.stopped(reason.migrated);
  if (domain.defined === null) source.domains.delete(domain.uuid);
  source.tell(domain, event.stoppedMigrated);
}

function receive(target: FakeHost, from: FakeDomain, flags: number, paused: boolean): void {
  const known = target.domains.get(from.uuid);
  const domain = known ?? new FakeDomain(from.live, target.clock, { acpiDelayMs: from.acpiDelayMs });
  const persistent = (flags & flag.persistDest) !== 0;
  domain.live = from.live;
  domain.defined = persistent ? (from.defined ?? from.live) : (known?.defined ?? null);
  target.domains.set(from.uuid, domain);
  Object.assign(domain.load, from.load);
  domain.ignoresAcpi = from.ignoresAcpi;
  try {
    target.run(domain);
  } catch (error) {
    if (known === undefined) target.domains.delete(from.uuid);
    throw error;
  }
  if (from.vnc !== undefined && domain.vnc !== undefined) domain.vnc = { ...from.vnc, port: domain.vnc.port };
  domain.setState(paused ? state.paused : state.running, reason.runningMigrated);
  target.tell(domain, event.startedMigrated);
  if (!paused) target.tell(domain, event.resumedMigrated);
  if (persistent) target.tell(domain, event.definedAdded);
}
