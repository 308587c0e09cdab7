// One domain from one host to another by libvirt (peer to peer): begun, followed, given up, and in every case of doubt both
// hosts are asked where it is. The daemons go on when the portal dies, so what is found under way is followed to its end.
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { AppError, say, type Sentence } from '../errors.ts';
import {
  AbortError, errorCode, HostUnavailableError, InvalidUriError, isHostBusy, isNoDomain, isOperationAborted, LibvirtError,
} from '../libvirt/errors.ts';
import type { Hypervisor, TypedParamInput } from '../libvirt/hypervisor.ts';
import { parseUri, peerUri } from '../libvirt/uri.ts';
import type { Log } from '../log.ts';
import type { Host } from '../model/host.ts';
import { settlement, whereabouts, type Settlement, type Sight } from '../model/move-truth.ts';
import { moveProgress, type JobFigures, type MoveFigures, type MoveKind, type MoveProgress } from '../model/move.ts';
import type { Settings } from '../model/settings.ts';
import { ensureOff, ensureUndefined, instanceStateOf } from './domain.ts';
import { HostFencedError } from './failure.ts';

/** A host as it is at this moment. */
export interface MoveSide {
  readonly host: Host;
  /** null: the host is proven to run nothing */
  readonly hypervisor: Hypervisor | null;
}

export interface DomainMove {
  readonly uuid: string;
  /** Asked for anew each time: a host may fall silent or be fenced meanwhile. Throw HostUnavailableError. */
  source(): Promise<MoveSide>;
  target(): Promise<MoveSide>;
  readonly settings: Settings['migration'];
  /** targets (vda, …) of the disks that are copied along; their volumes are there already */
  readonly copiedDisks: readonly string[];
  /** when the hosts were first told to begin, ms UTC, and with what; null: never */
  readonly begun: { readonly at: number; readonly kind: Exclude<MoveKind, 'restart'> } | null;
  /** written down before the hosts are told */
  begins(kind: Exclude<MoveKind, 'restart'>, at: number): Promise<void>;
  /** why it failed, from an earlier look at it that could not ask both hosts then */
  readonly failure: Sentence | null;
  failed(failure: Sentence): void;
  progress(progress: MoveProgress): Promise<void>;
  /** The reason 'cancelled' gives the move up; any other reason leaves it to the daemons, and to whoever looks next. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
}

/** It was given up because somebody wished so, and is where it was. */
export class MoveCancelledError extends Error {}

/** What may never be: both hosts run it, or neither has it whole. Nothing is done about it here; a person decides, and it is looked at again. */
export class NeedsPersonError extends AppError {
  constructor(what: 'both' | 'unclear', source: string, target: string) {
    super('host-unavailable', say(`migration.failed.${what}`, { from: source, to: target }));
  }
}

/** VIR_MIGRATE_* (libvirt-domain.h) */
const flag = {
  live: 1 << 0, peerToPeer: 1 << 1, persistDest: 1 << 3, undefineSource: 1 << 4, nonSharedDisk: 1 << 6, unsafe: 1 << 9, offline: 1 << 10,
  abortOnError: 1 << 12, autoConverge: 1 << 13, postCopy: 1 << 15, tls: 1 << 16,
} as const;

/** Milliseconds between two looks at a move under way. */
const lookMs = 500;
/** The first look: many moves take about a second. */
const firstLookMs = 150;
/** How long hosts get to tidy up by themselves, milliseconds. A host that lost its peer notices by keepalive, 20 to 30 s. */
const tidyMs = 40_000;

/**
 * How long an answer is waited for while the source says that nothing goes on, milliseconds. Shorter than its own attempt to
 * connect to a target that swallows everything: its words about that would never be heard.
 */
const deafMs = 150_000;

/** The URI by which other hosts reach it; undefined: there is none. */
export function destinationUri(host: Pick<Host, 'uri' | 'migrationUri'>): string | undefined {
  try {
    // the other host's libvirt gets it as it is: what a row says was not always checked as it is now
    if (host.migrationUri !== null) parseUri(host.migrationUri);
    return host.migrationUri ?? peerUri(host.uri);
  } catch (error) {
    if (error instanceof InvalidUriError) return undefined;
    throw error;
  }
}

/** Resolves when it has arrived. Throws when it has not: it is then on the source, unless the error is one of kind host-unavailable: then nobody knows yet. */
export async function migrateDomain(move: DomainMove): Promise<MoveFigures> {
  return new Migration(move).run();
}

/** Gives up what may be under way. Resolves with where it is then; never starts anything. */
export async function abandonMigration(move: DomainMove): Promise<'arrived' | 'stayed' | 'nowhere'> {
  return new Migration(move).abandon();
}

class Migration {
  /** aborts when nobody may work on this here any more; a cancellation is no such end: there is still to be tidied up */
  readonly #left = new AbortController();
  #poke = new AbortController();
  #gaveUp: 'cancelled' | 'timeout' | null = null;
  #postCopy = false;
  /** a host has said that it cannot; moves go on without */
  #noPostCopy = false;
  #failure: Sentence | null;
  #begunAt: number | null;
  #offline: boolean | null;
  #unsettledSince: number | null = null;
  /** of disks; the target's figures are of memory alone */
  #copiedBytes = 0;

  constructor(private readonly move: DomainMove) {
    this.#failure = move.failure;
    this.#begunAt = move.begun?.at ?? null;
    this.#offline = move.begun === null ? null : move.begun.kind === 'offline';
    if (move.signal.aborted) this.#onAbort();
    else move.signal.addEventListener('abort', () => this.#onAbort(), { once: true });
  }

  async run(): Promise<MoveFigures> {
    for (;;) {
      const now = await this.#look();
      switch (await this.#where(now)) {
        case 'moving':
          await this.#follow(now.source);
          break;
        case 'arrived':
          if (this.#begunAt === null) throw new AppError('conflict', say('operations.failed.domain-gone', { host: now.source.host.name }));
          return this.#figures(now.target);
        case 'stayed':
          if (this.#isTimeUp()) this.#gaveUp ??= 'timeout';
          if (this.#gaveUp === 'cancelled') throw new MoveCancelledError();
          if (this.#gaveUp === 'timeout') throw new AppError('conflict', say('migration.failed.timeout', { seconds: this.move.settings.timeoutSeconds }));
          if (this.#failure !== null) throw new AppError('conflict', this.#failure);
          await this.#attempt(now);
          break;
        case 'nowhere':
          throw new AppError('not-found', say('migration.failed.nowhere', { from: now.source.host.name, to: now.target.host.name }));
        case 'unsettled':
          await this.#pause(lookMs);
      }
    }
  }

  async abandon(): Promise<'arrived' | 'stayed' | 'nowhere'> {
    this.#gaveUp = 'cancelled';
    for (;;) {
      const now = await this.#look();
      const where = await this.#where(now);
      if (where === 'arrived' || where === 'nowhere') return where;
      if (where === 'stayed') {
        if (now.there.state === 'stopped' && now.target.hypervisor !== null) await ensureUndefined(now.target.hypervisor, this.move.uuid, this.#left.signal);
        return where;
      }
      if (where === 'moving') await this.#follow(now.source);
      else await this.#pause(lookMs);
    }
  }

  #onAbort(): void {
    if (this.move.signal.reason === 'cancelled') this.#gaveUp = 'cancelled';
    else this.#left.abort(this.move.signal.reason);
    this.#poke.abort();
  }

  // ── where is it? ────────────────────────────────────────────────────────────────────────────────────────────────

  /** The target first: what arrives there between the two questions has left the source by the second. */
  async #look(): Promise<Look> {
    if (this.#left.signal.aborted) throw new AbortError(this.#left.signal);
    const [source, target] = await Promise.all([this.move.source(), this.move.target()]);
    const there = await naming(target.host, sightOf(target.hypervisor, this.move.uuid, this.#left.signal));
    const here = await naming(source.host, this.#sightOfSource(source.hypervisor));
    // decided once: a guest that powers itself off on its way was no offline one
    this.#offline ??= here.state === 'stopped';
    return { source, target, here, there };
  }

  /** Only the source tells of a migration under way. */
  async #sightOfSource(hypervisor: Hypervisor | null): Promise<Sight> {
    const sight = await sightOf(hypervisor, this.move.uuid, this.#left.signal);
    if (hypervisor === null || (sight.state !== 'running' && sight.state !== 'paused')) return sight;
    try {
      return { ...sight, sending: isSending(await hypervisor.domain.getJobStats(this.move.uuid, {}, { signal: this.#left.signal })) };
    } catch (error) {
      if (isNoDomain(error)) return nothing;
      throw error;
    }
  }

  async #where({ source, target, here, there }: Look): Promise<'moving' | 'stayed' | 'arrived' | 'nowhere' | 'unsettled'> {
    const where = whereabouts(here, there, this.#offline === true);
    // the source has forgotten it, as it does when it has arrived; there it was lost with its new host
    if (where === 'nowhere' && this.#begunAt !== null && target.hypervisor === null && source.hypervisor !== null) return 'arrived';
    if (where === 'both') throw new NeedsPersonError('both', source.host.name, target.host.name);
    if (where !== 'unsettled') {
      this.#unsettledSince = null;
      return where;
    }
    this.#unsettledSince ??= this.move.clock.now();
    if (this.move.clock.now() - this.#unsettledSince < tidyMs) return where;
    return this.#settle(source, target, settlement(here, there));
  }

  /** The hosts had their time. What is dropped is a half that is seen not to live. */
  async #settle(source: MoveSide, target: MoveSide, how: Settlement): Promise<'arrived' | 'unsettled'> {
    this.move.log.warn({ domain: this.move.uuid, source: source.host.id, target: target.host.id, how }, 'hosts left a move unfinished');
    if (how === 'ask-a-person') throw new NeedsPersonError('unclear', source.host.name, target.host.name);
    // the step that tidies up the source drops it
    if (how === 'drop-source') return 'arrived';
    if (how === 'drop-target' && target.hypervisor !== null) await ensureOff(target.hypervisor, this.move.uuid, this.#left.signal);
    if (how === 'resume-source') await source.hypervisor?.domain.resume(this.move.uuid, { signal: this.#left.signal });
    return 'unsettled';
  }

  // ── beginning and following ─────────────────────────────────────────────────────────────────────────────────────

  async #attempt({ source, target, here }: Look): Promise<void> {
    const { uuid, copiedDisks, clock } = this.move;
    const settings = this.#noPostCopy ? { ...this.move.settings, postCopyAfterSeconds: 0 } : this.move.settings;
    const { hypervisor } = source;
    const uri = destinationUri(target.host);
    if (hypervisor === null) throw new HostFencedError(source.host.name);
    if (target.hypervisor === null) throw new HostFencedError(target.host.name);
    if (uri === undefined) throw new AppError('conflict', say('migration.refused.no-address', { to: target.host.name }));
    const kind = here.state === 'stopped' ? 'offline' : 'live';
    // what was prepared for a machine that runs is not enough for one that is off: its disk is not there
    if (kind === 'offline' && this.#offline !== true) throw new AppError('conflict', say('migration.failed.powered-off'));
    if (this.#begunAt === null) {
      const now = clock.now();
      await this.move.begins(kind, now);
      this.#begunAt = now;
    }
    if (kind === 'live') await this.#setDowntime(hypervisor);
    let ended = false;
    let idleSince: number | null = null;
    const deaf = new AbortController();
    const signal = AbortSignal.any([this.#left.signal, deaf.signal]);
    const call = hypervisor.domain.migrate(uuid, { destinationUri: uri, ...migrateInput(kind, uri, settings, copiedDisks) }, { signal })
      .catch((error: unknown) => this.#onFailure(error, source.host, target.host))
      .finally(() => { ended = true; });
    for (let wait = firstLookMs; !ended; wait = lookMs) {
      await Promise.race([call, this.#pause(wait)]);
      if (ended || (await this.#tend(hypervisor))) idleSince = null;
      else idleSince ??= clock.now();
      // nothing goes on there, and nobody says so: the answer was lost
      if (idleSince !== null && clock.now() - idleSince > deafMs) deaf.abort();
    }
    await call;
  }

  /** What is no answer says nothing: the hosts are asked. What is an answer may still be wrong about where it is. */
  async #onFailure(error: unknown, source: Host, target: Host): Promise<void> {
    if (error instanceof AbortError || error instanceof HostUnavailableError) return this.#pause(lookMs);
    // somebody works on the domain just now, perhaps a call of ours that was believed dead
    if (isHostBusy(error)) return this.#pause(1000);
    if (!(error instanceof LibvirtError)) throw error;
    if (isOperationAborted(error) && this.#gaveUp !== null) return;
    // QEMU may not use userfaultfd there (vm.unprivileged_userfaultfd); that is no reason not to move at all
    if (!this.#noPostCopy && this.move.settings.postCopyAfterSeconds > 0 && /post-?copy is not supported/i.test(error.message)) {
      this.#noPostCopy = true;
      return this.move.log.warn({ domain: this.move.uuid, source: source.id, target: target.id, reason: error.message }, 'no post-copy between these hosts');
    }
    this.move.log.warn({ domain: this.move.uuid, source: source.id, target: target.id, err: error }, 'move failed');
    this.#failure = explainMigrateError(error, source, target);
    this.move.failed(this.#failure);
  }

  /** Somebody else's call, or one of a portal that is dead. */
  async #follow(source: MoveSide): Promise<void> {
    if (source.hypervisor === null) return;
    while (await this.#tend(source.hypervisor)) await this.#pause(lookMs);
  }

  /** One look at what is under way: its progress, and whether it has to be given up or helped. false: nothing is. */
  async #tend(source: Hypervisor): Promise<boolean> {
    if (this.#left.signal.aborted) throw new AbortError(this.#left.signal);
    const now = this.move.clock.now();
    const { uuid, settings } = this.move;
    if (this.#isTimeUp()) this.#gaveUp ??= 'timeout';
    const call = { signal: this.#left.signal };
    try {
      if (this.#gaveUp !== null && !this.#postCopy) await quietly(source.domain.abortJob(uuid, call));
      else if (settings.postCopyAfterSeconds > 0 && !this.#noPostCopy && this.#elapsedSeconds() > settings.postCopyAfterSeconds && !this.#postCopy) {
        this.#postCopy = await quietly(source.domain.migrateStartPostCopy(uuid, call));
      }
      const stats = await source.domain.getJobStats(uuid, {}, call);
      if (!isSending(stats)) return false;
      this.#copiedBytes = Math.max(this.#copiedBytes, Number(stats.params['disk_processed'] ?? 0));
      await this.move.progress(moveProgress(stats.params, now, this.#postCopy));
      return true;
    } catch (error) {
      // gone from there, or the host is silent: the next look at both tells
      if (error instanceof LibvirtError || error instanceof HostUnavailableError) return false;
      throw error;
    }
  }

  #elapsedSeconds(): number {
    return this.#begunAt === null ? 0 : (this.move.clock.now() - this.#begunAt) / 1000;
  }

  #isTimeUp(): boolean {
    return this.#elapsedSeconds() > this.move.settings.timeoutSeconds;
  }

  async #setDowntime(source: Hypervisor): Promise<void> {
    await quietly(source.domain.migrateSetMaxDowntime(this.move.uuid, this.move.settings.maxDowntimeMs, { signal: this.#left.signal }));
  }

  /** The target has the figures too, and keeps them: the source has forgotten the domain. */
  async #figures({ hypervisor }: MoveSide): Promise<MoveFigures> {
    let params: JobFigures = {};
    try {
      params = (await hypervisor?.domain.getJobStats(this.move.uuid, { completed: true, keepCompleted: true }, { signal: this.#left.signal }))?.params ?? {};
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error;
    }
    const { transferredBytes, iteration } = moveProgress({ ...params, disk_processed: Math.max(this.#copiedBytes, Number(params['disk_processed'] ?? 0)) }, 0);
    const known = params['memory_processed'] !== undefined;
    return { downtimeMs: params['downtime'] === undefined ? null : Number(params['downtime']), transferredBytes: known ? transferredBytes : null, iteration };
  }

  /** Ends early when somebody cancels. */
  async #pause(ms: number): Promise<void> {
    if (this.#poke.signal.aborted) this.#poke = new AbortController();
    await delay(ms, undefined, { signal: this.#poke.signal }).catch(() => undefined);
  }
}

interface Look { readonly source: MoveSide; readonly target: MoveSide; readonly here: Sight; readonly there: Sight }

/** A silence that says whose it is. */
export async function naming<T>({ name }: Pick<Host, 'name'>, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof HostUnavailableError) throw new AppError('host-unavailable', say('operations.waiting.host', { host: name }), { cause: error });
    throw error;
  }
}

/** Done; false: the daemon said no. */
async function quietly(call: Promise<void>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (error instanceof LibvirtError) return false;
    throw error;
  }
}

type MigrateParams = Parameters<Hypervisor['domain']['migrate']>[1]['params'];

/** The flags and parameters of virDomainMigrateToURI3. */
export function migrateInput(
  kind: 'live' | 'offline', uri: string, settings: Settings['migration'], copiedDisks: readonly string[],
): { readonly flags: number; readonly params: MigrateParams } {
  const always = flag.peerToPeer | flag.persistDest | flag.undefineSource;
  if (kind === 'offline') return { flags: always | flag.offline, params: {} };
  const tls = settings.encryption === 'always' || (settings.encryption === 'auto' && parseUri(uri).transport === 'tls');
  const copies = copiedDisks.length > 0;
  // a guest that runs on the target while its disk is still being mirrored would need both at once
  const postCopy = settings.postCopyAfterSeconds > 0 && !copies;
  const bandwidth: TypedParamInput = { type: 'ullong', value: settings.bandwidthMib };
  return {
    flags: always | flag.live | flag.abortOnError | (settings.autoConverge ? flag.autoConverge : 0) | (postCopy ? flag.postCopy : 0) | (tls ? flag.tls : 0)
      | (copies ? flag.nonSharedDisk : 0),
    params: {
      ...(settings.bandwidthMib > 0 ? { bandwidth, ...(postCopy ? { 'bandwidth.postcopy': bandwidth } : {}) } : {}),
      ...(copies ? { migrate_disks: copiedDisks.map((value) => ({ type: 'string', value }) as const) } : {}),
    },
  };
}

/**
 * A migration that cannot begin, for two reasons: it copies a disk that no machine has, and makes of it what is no machine.
 * libvirt connects to the destination first, and finds both before it asks anything of it.
 */
export const probeInput = {
  flags: flag.peerToPeer | flag.live | flag.nonSharedDisk | flag.unsafe,
  params: { migrate_disks: { type: 'string', value: 'no-such-disk' }, destination_xml: { type: 'string', value: '<nothing/>' } },
} as const;

/** virDomainPausedReason */
const paused = { migration: 2, startingUp: 11, postCopy: 12, postCopyFailed: 13 } as const;
/** virDomainJobType bounded, unbounded; VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT */
const activeJobs: ReadonlySet<number> = new Set([1, 2]);
const migrationOut = 5;

function isSending({ type, params }: { readonly type: number; readonly params: JobFigures }): boolean {
  return activeJobs.has(type) && (params['operation'] === undefined || params['operation'] === migrationOut);
}

const nothing: Sight = { state: 'lost', pausedBy: null, sending: false };

async function sightOf(hypervisor: Hypervisor | null, uuid: string, signal: AbortSignal): Promise<Sight> {
  if (hypervisor === null) return nothing;
  try {
    const { state: domainState, reason } = await hypervisor.domain.getState(uuid, { signal });
    const state = instanceStateOf[domainState];
    if (state !== 'running' && state !== 'paused') return { ...nothing, state: 'stopped' };
    return { ...nothing, state, pausedBy: state === 'paused' ? pausedBy(reason) : null };
  } catch (error) {
    if (isNoDomain(error)) return nothing;
    throw error;
  }
}

function pausedBy(reason: number): Sight['pausedBy'] {
  if (reason === paused.postCopyFailed) return 'broken';
  return reason === paused.migration || reason === paused.startingUp || reason === paused.postCopy ? 'move' : 'person';
}

/** libvirt's refusal in words that say what to do about it. */
export function explainMigrateError(error: LibvirtError, from: Pick<Host, 'name'>, to: Pick<Host, 'name' | 'uri' | 'migrationUri'>): Sentence {
  const params = { from: from.name, to: to.name, reason: error.message };
  const says = (pattern: RegExp): boolean => pattern.test(error.message);
  if (says(/certificate|TLS handshake|authentication failed: Failed to verify/i)) return say('migration.failed.tls', params);
  if (says(/client socket is closed|keepalive|lost connection|end of file while reading/i)) return say('migration.failed.lost', params);
  if (says(/unable to connect|failed to connect|cannot resolve|unable to resolve|address resolution failed|connection refused|no route to host|timed out|network is unreachable/i)) {
    return say('migration.failed.unreachable', { ...params, address: destinationUri(to) ?? to.uri });
  }
  if (error.code === errorCode.cpuIncompatible || says(/guest CPU doesn't match|cpu .*(not compatible|incompatible)/i)) return say('migration.failed.cpu', params);
  if (error.code === errorCode.migrateUnsafe) return say('migration.failed.unsafe', params);
  return say('migration.failed.refused', params);
}
