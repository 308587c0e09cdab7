// Emptying a host for its maintenance: nothing new is placed there, and what is there moves away, live where it runs. What
// cannot move is listed with its reasons and left to the administrator. Cancelled, the host stays closed.
import { say } from '../errors.ts';
import type { Host } from '../model/host.ts';
import { homeOf } from '../model/maintenance.ts';
import type { Operation } from '../model/operation.ts';
import type { User } from '../model/user.ts';
import { selectHost, selectHosts } from '../store/hosts.ts';
import { clearReturnHost, selectInstancesByHost, selectInstancesByIds } from '../store/instances.ts';
import type { OperationDeps } from './deps.ts';
import { beginStep, ended, reportStep, submitMaintenance } from './host-maintenance.ts';
import { awaitMoves, cancelQueuedMoves, selectArrivals, submitMoves, type MoveBatch } from './move-batch.ts';
import type { Definition, StepRun } from './step.ts';

async function batchOf({ deps, operation }: StepRun): Promise<MoveBatch> {
  const host = await selectHost(deps.db, operation.hostId ?? '');
  const closed = new Set((await selectHosts(deps.db)).filter(({ wish }) => wish === 'maintenance').map(({ id }) => id));
  return {
    toHostId: null, trigger: 'maintenance', why: say('moves.why.maintenance', { host: host.name }),
    async candidates(db) {
      // somebody has put it into service meanwhile: what has not left stays
      if (host.wish !== 'maintenance') return [];
      const arrivals = await selectArrivals(db, host.id);
      const [here, coming] = await Promise.all([selectInstancesByHost(db, host.id), selectInstancesByIds(db, arrivals.map(({ instanceId }) => instanceId))]);
      return [...here, ...coming.filter(({ hostId }) => hostId !== host.id)];
    },
    returnHostId: (instance) => homeOf(instance, host.id, closed),
  };
}

export const hostDrain = {
  kind: 'host-drain',
  steps: [
    beginStep('close-host', async ({ deps, operation }, { anew }) => {
      if (anew) await clearReturnHost(deps.db, operation.hostId ?? '');
    }),
    { name: 'submit-moves', cancellable: true, run: async (run) => submitMoves(run, await batchOf(run)), undo: cancelQueuedMoves },
    { name: 'wait-for-moves', cancellable: true, run: async (run) => awaitMoves(run, await batchOf(run)) },
    reportStep,
  ],
  onDone: (tx, end) => ended(tx, end, 'done'),
  onFailed: (tx, end, error) => ended(tx, end, error),
} as const satisfies Definition;

export function submitHostDrain(deps: OperationDeps, host: Host, actor: Pick<User, 'id'>, id?: string): Promise<Operation> {
  return submitMaintenance(deps, hostDrain, host, actor, id);
}
