// The end of a host's maintenance: it takes instances again, and those that left for it come back, as many as fit now. The
// rest stay where they are, with their reasons.
import { say } from '../errors.ts';
import type { Host } from '../model/host.ts';
import type { Operation } from '../model/operation.ts';
import type { User } from '../model/user.ts';
import { selectHost } from '../store/hosts.ts';
import { selectInstancesByIds, selectInstancesToReturn } from '../store/instances.ts';
import type { OperationDeps } from './deps.ts';
import { beginStep, ended, reportStep, submitMaintenance } from './host-maintenance.ts';
import { awaitMoves, cancelQueuedMoves, selectDepartures, submitMoves, type MoveBatch } from './move-batch.ts';
import type { Definition, StepRun } from './step.ts';

async function batchOf({ deps, operation }: StepRun): Promise<MoveBatch> {
  const host = await selectHost(deps.db, operation.hostId ?? '');
  return {
    toHostId: host.id, trigger: 'return', why: say('moves.why.return', { host: host.name }),
    async candidates(db) {
      // somebody has taken it out of service meanwhile: what has not come stays away
      if (host.wish !== 'enabled') return [];
      // before the instances: what arrives in between is among them
      const departures = await selectDepartures(db, host.id);
      const [away, leaving] = await Promise.all([selectInstancesToReturn(db, host.id), selectInstancesByIds(db, departures.map(({ instanceId }) => instanceId))]);
      return [...away, ...leaving.filter(({ id }) => !away.some((each) => each.id === id))];
    },
    returnHostId: () => null,
  };
}

export const hostReturn = {
  kind: 'host-return',
  steps: [
    beginStep('open-host', async () => undefined),
    { name: 'submit-moves', cancellable: true, run: async (run) => submitMoves(run, await batchOf(run)), undo: cancelQueuedMoves },
    { name: 'wait-for-moves', cancellable: true, run: async (run) => awaitMoves(run, await batchOf(run)) },
    reportStep,
  ],
  onDone: (tx, end) => ended(tx, end, 'done'),
  onFailed: (tx, end, error) => ended(tx, end, error),
} as const satisfies Definition;

export function submitHostReturn(deps: OperationDeps, host: Host, actor: Pick<User, 'id'>, id?: string): Promise<Operation> {
  return submitMaintenance(deps, hostReturn, host, actor, id);
}
