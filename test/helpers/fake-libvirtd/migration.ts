// Migration between two fake hosts of one process, peer to peer, in libvirt's phases: connect · begin · prepare (the target
// has a half that waits) · perform (memory and disks take their time) · finish (the target runs it) · confirm (the source
// forgets it). Each phase can be held and made to fail; hosts die and lose each other in any of them.
import { setTimeout as delay } from 'node:timers/promises';
import { FakeDomain, migrationStats, state, ullong, type FakeJob } from './domain.ts';
import { refuse, type FakeError } from './errors.ts';
import { event, reason, type FakeHost } from './host.ts';

/** All fake hosts of this process by the URIs under which they are reached. */
export const reachable = new Map<string, FakeHost>();

export type MigrationPhase = 'connect' | 'begin' | 'prepare' | 'perform' | 'finish' | 'confirm';

/** What befalls migrations away from one host, and how many of them went on at once. */
export class Migrations {
  /** hosts that it does not reach, nor they it */
  readonly cutFrom = new Set<FakeHost>();
  /** milliseconds after which a host notices that another one is gone */
  noticeMs = 30;
  /** pages a second that guests dirty; with `endless` a pass never ends */
  dirtyRate = 0;
  /** memory is dirtied as fast as it is sent: only post-copy ends it */
  endless = false;
  /** the target runs it, and the answer that says so is lost: the source, which must believe it failed, goes on too */
  split = false;
  out = 0;
  in = 0;
  mostOut = 0;
  mostIn = 0;
  rushes = 0;
  private readonly holds = new Map<MigrationPhase, Promise<void>>();
  private readonly failures = new Map<MigrationPhase, { readonly error: FakeError; left: number }>();

  /** Every migration stands still before this phase until the returned function is called. */
  hold(phase: MigrationPhase): () => void {
    let release: () => void = () => undefined;
    this.holds.set(phase, new Promise((resolve) => { release = () => { this.holds.delete(phase); resolve(); }; }));
    return release;
  }

  /** Memory and disks of what is under way are sent at once. */
  rush(): void {
    this.rushes += 1;
  }

  fail(phase: MigrationPhase, error: FakeError = refuse.migrationFailed(`broken in ${phase}`), times = 1): void {
    this.failures.set(phase, { error, left: times });
  }

  async reached(phase: MigrationPhase): Promise<void> {
    await this.holds.get(phase);
    const failure = this.failures.get(phase);
    if (failure === undefined || failure.left === 0) return;
    failure.left -= 1;
    throw failure.error;
  }
}

/** Of all hosts of this process together. */
export const traffic = { now: 0, most: 0 };

/** VIR_MIGRATE_* */
const flag = { persistDest: 8, undefineSource: 16, nonSharedDisk: 64, offline: 1024 } as const;

export interface MigrationCall {
  readonly destinationUri: string;
  readonly flags: number;
  /** targets of the disks to copy */
  readonly disks: readonly string[];
}

const withoutParameters = (uri: string): string => (uri.includes('socket=') ? uri : uri.replace(/\?.*$/, ''));

export async function migrate(source: FakeHost, uuid: string, call: MigrationCall): Promise<void> {
  const offline = (call.flags & flag.offline) !== 0;
  const domain = offline ? source.domain(uuid) : source.running(uuid);
  if (domain.job !== undefined) throw refuse.jobActive();
  await new Migration(source, domain, call, offline).run();
}

class Migration {
  private readonly job: FakeJob;
  private readonly sourceLife: number;
  private target!: FakeHost;
  private targetLife = 0;
  private half: FakeDomain | undefined;

  constructor(private readonly source: FakeHost, private readonly domain: FakeDomain, private readonly call: MigrationCall, private readonly offline: boolean) {
    this.sourceLife = source.lives;
    this.job = {
      startedAt: source.clock(), durationMs: source.migrations.endless ? 3_600_000 : source.migrationMs, memoryBytes: domain.live.memoryKib * 1024,
      diskBytes: domain.live.disks.filter(({ target }) => call.disks.includes(target)).reduce((sum, { path }) => sum + source.file(path).allocationBytes, 0), dirtyRate: source.migrations.dirtyRate,
      canceled: false, postCopy: false,
    };
  }

  async run(): Promise<void> {
    const { source, domain } = this;
    domain.job = this.job;
    let counted = false;
    try {
      await this.connect();
      await this.begin();
      counted = this.count(1);
      await this.prepare();
      if (!this.offline) await this.perform();
      await this.finish();
      await this.confirm();
    } catch (error) {
      await this.takeBack();
      throw error;
    } finally {
      if (counted) this.count(-1);
      domain.job = undefined;
    }
    if (this.offline) return;
    const params = { ...migrationStats(this.job, this.job.durationMs), downtime: ullong(45), downtime_net: ullong(40) };
    domain.completedJob = params;
    if (this.half !== undefined) this.half.completedJob = params;
    source.onEvent({ type: 'job-completed', domain: { ...domain.ref, id: -1 }, params });
  }

  private count(by: 1 | -1): true {
    const { migrations: from } = this.source;
    const { migrations: to } = this.target;
    from.out += by;
    to.in += by;
    traffic.now += by;
    from.mostOut = Math.max(from.mostOut, from.out);
    to.mostIn = Math.max(to.mostIn, to.in);
    traffic.most = Math.max(traffic.most, traffic.now);
    return true;
  }

  // ── phases ──────────────────────────────────────────────────────────────────────────────────────────────────────

  private async connect(): Promise<void> {
    const { source, call } = this;
    const found = reachable.get(withoutParameters(call.destinationUri));
    await source.migrations.reached('connect');
    if (found === undefined || found.off || source.migrations.cutFrom.has(found)) throw refuse.noConnection(call.destinationUri);
    if (found.hostUuid === source.hostUuid) throw refuse.sameHost(source.hostUuid);
    this.target = found;
    this.targetLife = found.lives;
  }

  private async begin(): Promise<void> {
    await this.source.migrations.reached('begin');
    for (const disk of this.call.disks) {
      if (!this.domain.live.disks.some(({ target }) => target === disk)) throw refuse.noSuchDisk(disk);
    }
  }

  private async prepare(): Promise<void> {
    const { source, target, domain } = this;
    await source.migrations.reached('prepare');
    this.assertTogether();
    const known = target.assertNoOther(domain.live);
    if (known?.isActive === true) throw refuse.alreadyRunning();
    for (const { network } of domain.live.interfaces) if (network !== null && !target.network(network).active) throw refuse.networkInactive(network);
    const half = known ?? new FakeDomain(domain.live, target.clock, { acpiDelayMs: domain.acpiDelayMs });
    if (this.offline) {
      this.half = half;
      return;
    }
    target.assertDisks(domain.live);
    half.live = domain.live;
    if (known === undefined) half.defined = null;
    target.domains.set(half.uuid, half);
    target.beginIncoming(half);
    this.half = half;
  }

  /** In three rounds, as a real one goes round again for the memory that was written meanwhile. */
  private async perform(): Promise<void> {
    const { source, domain, job } = this;
    const { id } = domain;
    const { rushes } = source.migrations;
    await source.migrations.reached('perform');
    for (let iteration = 1; iteration <= 3; iteration++) {
      source.onEvent({ type: 'migration-iteration', domain: domain.ref, iteration });
      for (let left = job.durationMs / 3; left > 0 && !job.postCopy && source.migrations.rushes === rushes; left -= 10) {
        // one that takes an hour must not keep its test's process
        await delay(Math.min(left, 10), undefined, { ref: false });
        if (job.canceled) throw refuse.migrationCanceled();
        if (source.lives === this.sourceLife && domain.id !== id) throw refuse.migrationFailed('domain is not running');
        this.assertTogether();
      }
    }
  }

  private async finish(): Promise<void> {
    const { source, target, domain, half } = this;
    const wasPaused = domain.state === state.paused;
    if (!this.offline) {
      source.tell(domain, event.suspendedMigrated);
      source.closeDisks(domain);
      if (!wasPaused) domain.setState(state.paused, reason.pausedForMigration);
    }
    try {
      await source.migrations.reached('finish');
      this.assertTogether();
      if (this.job.canceled) throw refuse.migrationCanceled();
      this.receive(target, half as FakeDomain, wasPaused);
    } catch (error) {
      if (source.lives === this.sourceLife && !this.offline) {
        source.openDisks(domain, domain.live);
        if (!wasPaused) domain.setState(state.running, reason.unpaused);
        source.tell(domain, event.resumedUnpaused);
      }
      throw error;
    }
  }

  private receive(target: FakeHost, half: FakeDomain, paused: boolean): void {
    const { domain, call, offline } = this;
    const persistent = (call.flags & flag.persistDest) !== 0;
    if (persistent) half.defined = domain.defined ?? domain.live;
    target.domains.set(half.uuid, half);
    if (!offline) {
      for (const disk of call.disks) this.fileOf(target, disk).data = this.fileOf(this.source, disk).data;
      Object.assign(half.load, domain.load);
      half.ignoresAcpi = domain.ignoresAcpi;
      target.openDisks(half, half.live);
      half.incoming = false;
      if (domain.vnc !== undefined && half.vnc !== undefined) half.vnc = { ...domain.vnc, port: half.vnc.port };
      half.setState(paused ? state.paused : state.running, paused ? reason.pausedByUser : reason.runningMigrated);
      target.tell(half, event.startedMigrated);
      if (!paused) target.tell(half, event.resumedMigrated);
    }
    if (persistent) target.tell(half, event.definedAdded);
  }

  private async confirm(): Promise<void> {
    const { source, domain, call } = this;
    if (source.migrations.split) {
      domain.setState(state.running, reason.unpaused);
      this.half = undefined;
      throw refuse.migrationFailed('the answer was lost');
    }
    // from here on the target has it, whatever happens to the source
    const { half } = this;
    this.half = undefined;
    await source.migrations.reached('confirm');
    this.half = half;
    if (source.lives !== this.sourceLife) return;
    if ((call.flags & flag.undefineSource) !== 0 && domain.defined !== null) {
      domain.defined = null;
      source.tell(domain, event.undefinedRemoved);
    }
    if (!this.offline) domain.stopped(reason.migrated);
    if (domain.defined === null) source.domains.delete(domain.uuid);
    if (!this.offline) source.tell(domain, event.stoppedMigrated);
  }

  // ── failing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private assertTogether(): void {
    if (this.source.lives !== this.sourceLife) throw refuse.lostPeer();
    if (this.target.lives !== this.targetLife || this.source.migrations.cutFrom.has(this.target)) throw refuse.lostPeer();
  }

  /** The target drops its half as soon as it notices. */
  private async takeBack(): Promise<void> {
    const { half, target, offline } = this;
    if (half === undefined || offline) return;
    this.half = undefined;
    const gone = this.source.lives !== this.sourceLife || this.source.migrations.cutFrom.has(target);
    if (gone) await delay(this.source.migrations.noticeMs);
    if (target.lives === this.targetLife && half.isActive) target.dropIncoming(half);
  }

  private fileOf(host: FakeHost, disk: string): ReturnType<FakeHost['file']> {
    return host.file(this.domain.live.disks.find(({ target }) => target === disk)?.path ?? disk);
  }
}

