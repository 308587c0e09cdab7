// A burn-in: place · create-volume · define · start · boot · console · network · move-away · move-back · remove. Its domain's
// UUID is the operation's id, so that reconciliation knows whose it is. Cancelled or failed anywhere, it is taken away from
// both hosts; its record says what was seen, what went wrong and what to do about it.
import { AppError, say, type Sentence } from '../errors.ts';
import { HostUnavailableError, isNoNetwork, isNoStoragePool, LibvirtError, toAppError } from '../libvirt/errors.ts';
import type { Hypervisor } from '../libvirt/hypervisor.ts';
import { NotVncError, readVncGreeting } from '../libvirt/vnc-greeting.ts';
import type { BurnInStepName } from '../model/burn-in.ts';
import { selectHost } from '../store/hosts.ts';
import { selectSettings } from '../store/settings.ts';
import { burnInEnded } from './host-burn-in-report.ts';
import type { BurnInInput } from './host-burn-in-submit.ts';
import { defineInstance } from './define-instance.ts';
import { ensureOff, ensureStarted, ensureUndefined, observeDomain } from './domain.ts';
import { readGuestAddresses, readLeases } from './guest-addresses.ts';
import { MoveCancelledError, migrateDomain, type DomainMove, type MoveSide } from './migrate-domain.ts';
import { buildSeedImage } from './seed.ts';
import type { Definition, RunAgain, Step, StepRun } from './step.ts';
import { ensureDisk, ensureSeed, removeVolumes } from './volumes.ts';

/** What the steps of a burn-in tell each other and its report. */
export interface BurnInProgress {
  /** what a step saw */
  readonly notes?: Partial<Record<BurnInStepName, Sentence>>;
  readonly leftOut?: readonly BurnInStepName[];
  /** when the step had done its work, ms UTC */
  readonly finished?: Partial<Record<BurnInStepName, number>>;
  /** when the step's patience ends, ms UTC */
  readonly deadlines?: Partial<Record<BurnInStepName, number>>;
  readonly begun?: Partial<Record<BurnInStepName, NonNullable<DomainMove['begun']>>>;
}

/** Milliseconds that a guest gets to read its system from its disk: under software emulation a cloud image takes a minute. */
const bootMs = 180_000;
/** And to say something on the network: cloud images ask for an address late. */
const networkMs = 180_000;
/** So long an address is waited for when packets flow both ways already. */
const addressMs = 60_000;
const lookMs = 1500;
/** What a boot loader and a kernel are at least. Firmware that finds nothing to boot reads a few sectors. */
const bootBytes = 1_000_000;
const consoleTimeoutMs = 5000;

export const hostBurnIn = {
  kind: 'host-burn-in',
  steps: [
    timed({ name: 'place', cancellable: true, run: checkPlace }),
    timed({ name: 'create-volume', cancellable: true, run: createVolume, undo: async (run) => removeVolumes((await run.host()).hypervisor, inputOf(run).pool.name, run.operation.id, run.signal) }),
    timed({ name: 'define', cancellable: true, run: define, undo: clearAway }),
    timed({ name: 'start', cancellable: true, run: async (run) => ensureStarted((await run.host()).hypervisor, run.operation.id, run.signal) }),
    timed({ name: 'boot', cancellable: true, run: awaitBoot }),
    timed({ name: 'console', cancellable: true, run: touchConsole }),
    timed({ name: 'network', cancellable: true, run: awaitNetwork }),
    timed({ name: 'move-away', cancellable: true, run: async (run) => move(run, 'move-away') }),
    timed({ name: 'move-back', cancellable: true, run: async (run) => move(run, 'move-back') }),
    timed({ name: 'remove', run: remove }),
  ],
  onDone: (tx, end) => burnInEnded(tx, end, null, 'passed'),
  onFailed: (tx, end, error) => burnInEnded(tx, end, error, error === null ? 'cancelled' : 'failed'),
} as const satisfies Definition;

/** Keeps when the step's own work was done. */
function timed<N extends BurnInStepName>(step: Step & { readonly name: N }): Step & { readonly name: N } {
  return {
    ...step,
    async run(run) {
      const again = await step.run(run);
      if (again === undefined) see(run, { finished: { ...run.context.burnIn?.finished, [step.name]: run.deps.clock.now() } });
      return again;
    },
  };
}

function inputOf(run: StepRun): BurnInInput {
  return run.input as BurnInInput;
}

function problem(kind: string, params: Readonly<Record<string, string | number>> = {}): AppError {
  return new AppError('conflict', say(`burn-in.problem.${kind}`, params));
}

function see(run: StepRun, more: BurnInProgress): void {
  run.remember({ burnIn: { ...run.context.burnIn, ...more } });
}

function note(run: StepRun, step: BurnInStepName, sentence: Sentence): void {
  see(run, { notes: { ...run.context.burnIn?.notes, [step]: sentence } });
}

/** When this step's patience ends; saved, so that a portal that takes it up waits no longer. */
function deadlineOf(run: StepRun, step: BurnInStepName, patienceMs: number): number {
  const deadline = run.context.burnIn?.deadlines?.[step] ?? run.deps.clock.now() + patienceMs;
  see(run, { deadlines: { ...run.context.burnIn?.deadlines, [step]: deadline } });
  return deadline;
}

// ── making it ───────────────────────────────────────────────────────────────────────────────────────────────────────

async function checkPlace(run: StepRun): Promise<void> {
  const { host, hypervisor } = await run.host();
  const { pool, image } = inputOf(run);
  const call = { signal: run.signal };
  try {
    if ((await hypervisor.storagePool.getInfo(pool.name, call)).state !== 'running') throw problem('pool', { pool: pool.name });
    if (!(await hypervisor.network.isActive(host.network, call))) throw problem('network-inactive', { network: host.network });
    if ((await hypervisor.storageVolume.lookupByName(pool.name, image.volume, call)) === undefined) await hypervisor.storagePool.refresh(pool.name, call);
  } catch (error) {
    if (isNoStoragePool(error)) throw problem('pool', { pool: pool.name });
    if (isNoNetwork(error)) throw problem('network-inactive', { network: host.network });
    throw error;
  }
}

async function createVolume(run: StepRun): Promise<void> {
  const { hypervisor } = await run.host();
  const { pool, image, size } = inputOf(run);
  const { id, createdAt } = run.operation;
  await ensureDisk(hypervisor, id, { pool: pool.name, image, diskGib: size.diskGib }, run.signal);
  if (image.cloudInit) await ensureSeed(hypervisor, id, pool.name, buildSeedImage({ id, name: 'burn-in', createdAt }, { sshKey: '', userData: '' }), run.signal);
}

async function define(run: StepRun): Promise<void> {
  const { size, mac, pool, image } = inputOf(run);
  const guest = { id: run.operation.id, name: 'burn-in', userId: '', mac, ...size };
  await defineInstance(run.deps.db, await run.host(), guest, { pool: pool.name, seed: image.cloudInit }, run.signal);
}

// ── looking at it ───────────────────────────────────────────────────────────────────────────────────────────────────

interface Traffic { readonly readBytes: number; readonly receivedPackets: number; readonly sentPackets: number }

/** The guest's counters. Throws when it does not run any more. */
async function trafficOf(run: StepRun, hypervisor: Hypervisor): Promise<Traffic> {
  const { id } = run.operation;
  const stats = (await hypervisor.domain.getAllStats(['state', 'block', 'interface'], { signal: run.signal })).find(({ domain }) => domain.uuid === id);
  const { state } = await observeDomain(hypervisor, id, { signal: run.signal });
  if (stats === undefined || state === 'lost' || state === 'stopped') throw problem('died');
  const sum = (field: string): number => Object.entries(stats.params).filter(([name]) => name.endsWith(field)).reduce((total, [, value]) => total + Number(value), 0);
  return { readBytes: sum('.rd.bytes'), receivedPackets: sum('.rx.pkts'), sentPackets: sum('.tx.pkts') };
}

async function awaitBoot(run: StepRun): Promise<RunAgain | void> {
  const deadline = deadlineOf(run, 'boot', bootMs);
  const { hypervisor } = await run.host();
  const { readBytes } = await trafficOf(run, hypervisor);
  const mib = Math.floor(readBytes / 1024 ** 2);
  if (readBytes >= bootBytes) return note(run, 'boot', say('burn-in.seen.boot', { mib }));
  if (run.deps.clock.now() > deadline) throw problem('not-booting', { seconds: bootMs / 1000, image: inputOf(run).image.name });
  return { againAfterMs: lookMs };
}

async function touchConsole(run: StepRun): Promise<void> {
  const { host, hypervisor } = await run.host();
  const { consolePort } = await observeDomain(hypervisor, run.operation.id, { signal: run.signal });
  const address = `${host.consoleAddress}:${consolePort ?? '?'}`;
  if (consolePort === null) throw problem('console-no-port');
  const greeting = await readVncGreeting(host.consoleAddress, consolePort, { timeoutMs: consoleTimeoutMs, signal: run.signal }).catch((error: unknown) => {
    if (run.signal.aborted) throw error;
    if (error instanceof NotVncError) throw problem('console-not-vnc', { address });
    throw problem('console-unreachable', { address, reason: error instanceof Error ? error.message : String(error) });
  });
  if (!greeting.securityTypes.includes(2)) throw problem('console-open', { address });
  note(run, 'console', say('burn-in.seen.console', { address, version: greeting.version }));
}

async function awaitNetwork(run: StepRun): Promise<RunAgain | void> {
  const deadline = deadlineOf(run, 'network', networkMs);
  const { host, hypervisor } = await run.host();
  const now = run.deps.clock.now();
  const call = { signal: run.signal };
  const leases = await readLeases(hypervisor, host.network, now, call);
  const addresses = await readGuestAddresses(hypervisor, { id: run.operation.id, mac: inputOf(run).mac }, leases, call);
  if (addresses.length > 0) return note(run, 'network', say('burn-in.seen.address', { address: addresses.join(', ') }));
  const { receivedPackets: received, sentPackets: sent } = await trafficOf(run, hypervisor);
  const waitedMs = now - (deadline - networkMs);
  if (received > 0 && sent > 0 && waitedMs > addressMs) return note(run, 'network', say('burn-in.seen.packets', { received, sent }));
  if (now > deadline) throw problem(sent === 0 ? 'network-silent' : 'network-unanswered', { network: host.network, sent, received });
  return { againAfterMs: lookMs };
}

// ── moving it ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** A host as it is now. Throws host-unavailable, by its own name, while it does not answer. */
async function sideOf(run: StepRun, hostId: string): Promise<MoveSide> {
  const host = await selectHost(run.deps.db, hostId);
  if (host.state === 'fenced') return { host, hypervisor: null };
  try {
    if (!run.deps.hosts.has(hostId)) throw new HostUnavailableError(`no connection to ${host.name} yet`);
    const hypervisor = run.deps.hosts.host(hostId);
    await hypervisor.ready({ timeoutMs: 2000, signal: run.signal });
    return { host, hypervisor };
  } catch (error) {
    throw toAppError(error, host.name);
  }
}

async function move(run: StepRun, step: 'move-away' | 'move-back'): Promise<void> {
  const { target, stays } = inputOf(run);
  const homeId = run.operation.hostId ?? '';
  if (target === null) {
    see(run, { leftOut: [...new Set([...(run.context.burnIn?.leftOut ?? []), step])] });
    return stays === null ? undefined : note(run, step, stays);
  }
  const [from, to] = step === 'move-away' ? [homeId, target.id] : [target.id, homeId];
  const now = (): number => run.deps.clock.now();
  const begun = run.context.burnIn?.begun?.[step] ?? null;
  const startedAt = begun?.at ?? now();
  try {
    const { downtimeMs } = await migrateDomain({
      uuid: run.operation.id, source: () => sideOf(run, from), target: () => sideOf(run, to), settings: (await selectSettings(run.deps.db)).migration, copiedDisks: [], begun,
      async begins(kind, at) {
        see(run, { begun: { ...run.context.burnIn?.begun, [step]: { kind, at } } });
        await run.transaction(async () => undefined);
      },
      // either host silent at the wrong moment: it is asked again, and if it is still where it was, it is tried again
      failure: null, failed: () => undefined,
      async progress({ transferredBytes, totalBytes }) {
        if (transferredBytes !== null && totalBytes !== null && totalBytes > 0) await run.progress((100 * transferredBytes) / totalBytes);
      },
      signal: run.signal, clock: run.deps.clock, log: run.deps.log,
    });
    const seconds = Math.round((now() - startedAt) / 100) / 10;
    note(run, step, downtimeMs === null ? say('burn-in.seen.moved', { host: target.name, seconds }) : say('burn-in.seen.moved-pause', { host: target.name, seconds, pause: downtimeMs }));
  } catch (error) {
    // somebody gave the move up on the host itself; a cancellation here is the runner's to see
    if (error instanceof MoveCancelledError && !run.signal.aborted) throw problem('move-stopped');
    throw error;
  }
}

// ── taking it away ──────────────────────────────────────────────────────────────────────────────────────────────────

/** From both hosts, wherever it may be and whatever is under way. A fenced host runs nothing. */
async function clearAway(run: StepRun): Promise<void> {
  const { target } = inputOf(run);
  // before the hosts are told to move it, that is written down: a target that was never asked is not waited for
  const mayBeThere = target !== null && run.context.burnIn?.begun?.['move-away'] !== undefined;
  const ids = [run.operation.hostId ?? '', ...(mayBeThere ? [target.id] : [])];
  const hypervisors = (await Promise.all(ids.map((id) => sideOf(run, id)))).flatMap(({ hypervisor }) => hypervisor ?? []);
  const { id } = run.operation;
  for (const hypervisor of hypervisors) await giveUpJob(hypervisor, id, run.signal);
  // twice: what was arriving while the first was asked is there by now
  for (const hypervisor of [...hypervisors, ...hypervisors]) {
    await ensureOff(hypervisor, id, run.signal);
    await ensureUndefined(hypervisor, id, run.signal);
  }
}

async function giveUpJob(hypervisor: Hypervisor, id: string, signal: AbortSignal): Promise<void> {
  await hypervisor.domain.abortJob(id, { signal }).catch((error: unknown) => {
    // nothing is under way, or it is not there
    if (!(error instanceof LibvirtError)) throw error;
  });
}

async function remove(run: StepRun): Promise<void> {
  await clearAway(run);
  await removeVolumes((await run.host()).hypervisor, inputOf(run).pool.name, run.operation.id, run.signal);
}
