// Rehearsing the loss of a host. On paper: what would be started where, and what would not fit. For real: its agent cuts the
// power, everything goes on as if it had died, and then it is switched on again, whatever happened in between.
import { randomUUID } from 'node:crypto';
import { AppError, say, type Sentence } from '../errors.ts';
import { emptyDrillReport, type Drill, type DrillReport } from '../model/drill.ts';
import { planFailover, restartsElsewhere } from '../model/failover.ts';
import type { Host } from '../model/host.ts';
import type { Recovery } from '../model/recovery.ts';
import type { User } from '../model/user.ts';
import type { Db } from '../store/db.ts';
import { claimDrill, insertDrill, selectOptionalDrill, updateDrillEnded, updateDrillReport } from '../store/drills.ts';
import { insertHostEvent } from '../store/host-events.ts';
import { selectHost } from '../store/hosts.ts';
import { selectMovesByBatch } from '../store/moves.ts';
import { insertOperation } from '../store/operations.ts';
import { selectRecoveriesByHost } from '../store/recoveries.ts';
import { selectSettings } from '../store/settings.ts';
import type { OperationDeps } from './deps.ts';
import { loadFenceTarget } from './fence.ts';
import { loadFailover } from './instance-recover.ts';
import type { Definition, OperationEnd, RunAgain, StepRun } from './step.ts';

/** Names in a report */
const mostNames = 100;
const lookAgainMs = 500;
/** How long each part may take before the drill is given up and the host switched on. Shorter than a large host's restarts: a report of nothing. */
const partMs = 900_000;
/** A machine room's servers take their time to boot. */
const bootMs = 1_800_000;

interface DrillInput {
  readonly hostId: string;
  /** ms UTC; the power is cut in between */
  readonly notBefore: number | null;
  readonly notAfter: number | null;
  /** absent: it was asked for before this was kept */
  readonly acceptUnfit?: boolean;
}

export const hostDrill: Definition = {
  kind: 'host-drill',
  steps: [
    { name: 'wait-for-window', cancellable: true, run: waitForWindow },
    { name: 'power-off', run: powerOff, undo: powerOn },
    { name: 'notice', run: (run) => awaitPart(run, partMs, async (recovery) => (recovery === undefined ? undefined : { noticedAt: recovery.noticedAt })) },
    { name: 'prove', run: (run) => awaitPart(run, partMs, async (recovery) => (recovery?.provenAt == null ? undefined : { provenAt: recovery.provenAt })) },
    { name: 'restart', run: (run) => awaitPart(run, partMs, (recovery) => restarts(run, recovery)) },
    { name: 'power-on', run: powerOn },
    { name: 'check-in', run: (run) => awaitPart(run, bootMs, async () => ((await selectHost(run.deps.db, inputOf(run).hostId)).state === 'up' ? { backAt: run.deps.clock.now() } : undefined)) },
  ],
  onDone: (tx, end) => ended(tx, end, 'done', null),
  onFailed: (tx, end, error) => ended(tx, end, 'failed', error ?? say('drill.cancelled')),
};

// ── asking for one ──────────────────────────────────────────────────────────────────────────────────────────────────

/** What would happen if it died now. Changes nothing. */
export async function foreseeLoss(deps: OperationDeps, host: Pick<Host, 'id'>): Promise<DrillReport> {
  const cluster = await loadFailover(deps);
  const names = new Map(cluster.fleet.hosts.map(({ id, name }) => [id, name]));
  const plan = planFailover({ ...cluster, deadHostIds: new Set([host.id]), which: restartsElsewhere });
  const stopped = cluster.instances.filter((each) => each.hostId === host.id && !each.ha && (each.state === 'running' || each.state === 'paused')).length;
  return {
    restarts: plan.restarts.slice(0, mostNames).map(({ instance, hostId }) => ({ name: instance.name, host: names.get(hostId) ?? '' })), restartsInAll: plan.restarts.length,
    unfit: plan.unfit.slice(0, mostNames).map(({ instance, reasons }) => ({ instanceId: instance.id, name: instance.name, reason: reasons[0] ?? say('recovery.unfit') })),
    unfitInAll: plan.unfit.length, stopped,
  };
}

/** Records what would happen now. */
export async function simulateDrill(deps: OperationDeps, host: Host, actor: Pick<User, 'id'>): Promise<string> {
  const at = deps.clock.now();
  const drill: Drill = { id: randomUUID(), hostId: host.id, hostName: host.name, mode: 'simulation', state: 'done', userId: actor.id, startedAt: at, endedAt: at, report: await foreseeLoss(deps, host) };
  await insertDrill(deps.db, drill);
  return drill.id;
}

export interface RealDrill {
  readonly actor: Pick<User, 'id'>;
  readonly notBefore: number | null;
  readonly notAfter: number | null;
  /** machines that do not fit elsewhere may stay off until it is back */
  readonly acceptUnfit: boolean;
}

/** Throws conflict, saying what is missing for it. Returns the id of its report and operation. */
export async function submitHostDrill(deps: OperationDeps, host: Host, { actor, notBefore, notAfter, acceptUnfit }: RealDrill): Promise<string> {
  const refuse = (sentence: Sentence): never => { throw new AppError('conflict', sentence); };
  const { availability } = await selectSettings(deps.db);
  if (!availability.enabled) refuse(say('drill.refused.off'));
  if (host.fenceAgent === null) refuse(say('drill.refused.no-agent', { host: host.name }));
  if (host.state !== 'up') refuse(say('drill.refused.not-up', { host: host.name }));
  if (!acceptUnfit) await expectRoom(deps, host);
  const id = randomUUID();
  const startedAt = deps.clock.now();
  const input: DrillInput = { hostId: host.id, notBefore, notAfter, acceptUnfit };
  await deps.db.transaction(async (tx) => {
    const drill: Drill = { id, hostId: host.id, hostName: host.name, mode: 'real', state: 'running', userId: actor.id, startedAt, endedAt: null, report: emptyDrillReport };
    if (!(await claimDrill(tx, drill))) refuse(say('drill.refused.running'));
    await insertOperation(tx, { id, kind: 'host-drill', instanceId: null, hostId: null, userId: actor.id, input, stepNames: hostDrill.steps.map((step) => step.name), createdAt: startedAt });
  });
  deps.wake();
  return id;
}

async function expectRoom(deps: OperationDeps, host: Host): Promise<void> {
  const { unfitInAll } = await foreseeLoss(deps, host);
  if (unfitInAll > 0) throw new AppError('conflict', say('drill.refused.unfit', { total: unfitInAll }));
}

// ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function inputOf(run: Pick<StepRun, 'input'>): DrillInput {
  return run.input as DrillInput;
}

async function reportOf(run: StepRun): Promise<DrillReport> {
  return (await selectOptionalDrill(run.deps.db, run.operation.id))?.report ?? emptyDrillReport;
}

async function note(run: StepRun, more: Partial<DrillReport>): Promise<void> {
  const report = { ...(await reportOf(run)), ...more };
  await run.transaction((tx) => updateDrillReport(tx, run.operation.id, report));
}

function waitForWindow(run: StepRun): Promise<RunAgain | void> {
  const now = run.deps.clock.now();
  const { notBefore, notAfter } = inputOf(run);
  if (notAfter !== null && now > notAfter) throw new AppError('conflict', say('drill.failed.window'));
  return Promise.resolve(notBefore !== null && now < notBefore ? { againAfterMs: Math.min(10_000, notBefore - now) } : undefined);
}

async function powerOff(run: StepRun): Promise<void> {
  const { deps, operation, signal } = run;
  const host = await selectHost(deps.db, inputOf(run).hostId);
  const { offAt } = await reportOf(run);
  // somebody else's trouble is no drill; after a restart of the portal it is our own
  if (offAt === undefined && host.state !== 'up') throw new AppError('conflict', say('drill.refused.not-up', { host: host.name }));
  if (offAt === undefined) {
    // its window may have opened days after it was asked for, and another host may be lost now
    if (inputOf(run).acceptUnfit !== true) await expectRoom(deps, host);
    await note(run, { offAt: deps.clock.now() });
    await insertHostEvent(deps.db, { id: operation.id, hostId: host.id, at: deps.clock.now(), kind: 'drill', userId: operation.userId, sentence: say('drill.event.off') });
  }
  const target = await loadFenceTarget(deps, host.id);
  if (target === undefined) throw new AppError('conflict', say('drill.refused.no-agent', { host: host.name }));
  await deps.fencing.powerOff(target, { signal });
}

async function powerOn(run: StepRun): Promise<void> {
  const { deps, signal } = run;
  // never switched off
  if ((await reportOf(run)).offAt === undefined) return;
  const target = await loadFenceTarget(deps, inputOf(run).hostId);
  if (target === undefined) return;
  await deps.fencing.powerOn(target, { signal });
  await note(run, { onAt: deps.clock.now() });
}

/** Looks again and again for something of the recovery that our power cut has caused. */
async function awaitPart(run: StepRun, longestMs: number, look: (recovery: Recovery | undefined) => Promise<Partial<DrillReport> | undefined>): Promise<RunAgain | void> {
  const { deps } = run;
  const now = deps.clock.now();
  const { offAt = 0 } = await reportOf(run);
  const [latest] = await selectRecoveriesByHost(deps.db, inputOf(run).hostId, 1);
  const found = await look(latest !== undefined && latest.noticedAt >= offAt ? latest : undefined);
  if (found !== undefined) {
    run.remember({ deadlineAt: 0 });
    return note(run, found);
  }
  if (!run.context.deadlineAt) run.remember({ deadlineAt: now + longestMs });
  else if (now > run.context.deadlineAt) throw new AppError('conflict', say('drill.failed.too-long', { minutes: longestMs / 60_000 }));
  return { againAfterMs: lookAgainMs };
}

async function restarts(run: StepRun, recovery: Recovery | undefined): Promise<Partial<DrillReport> | undefined> {
  if (recovery === undefined || (recovery.restartedAt === null && recovery.endedAt === null)) return undefined;
  const moves = (await selectMovesByBatch(run.deps.db, recovery.id)).filter((move) => move.state === 'done');
  return {
    ...(recovery.restartedAt === null ? {} : { restartedAt: recovery.restartedAt }), stopped: recovery.report.stopped,
    restarts: moves.slice(0, mostNames).map((move) => ({ name: move.instanceName, host: move.toHostName })), restartsInAll: moves.length,
    unfit: recovery.report.unfit, unfitInAll: recovery.report.unfitInAll,
  };
}

async function ended(tx: Db, { operation, now }: OperationEnd, state: 'done' | 'failed', failure: Sentence | null): Promise<void> {
  const drill = await selectOptionalDrill(tx, operation.id);
  if (drill === undefined) return;
  await updateDrillEnded(tx, drill.id, state, failure === null ? drill.report : { ...drill.report, failure }, now);
  const sentence = failure === null ? say('drill.event.done', { restarted: drill.report.restartsInAll }) : say('drill.event.failed');
  await insertHostEvent(tx, { id: `${drill.id.slice(0, 35)}e`, hostId: drill.hostId, at: now, kind: 'drill', userId: operation.userId, sentence, reason: failure });
}
