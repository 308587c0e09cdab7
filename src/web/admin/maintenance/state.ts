// Where a host's maintenance stands: for its own page, and as a card on the host's page.
import type { Host } from '../../../model/host.ts';
import type { Instance } from '../../../model/instance.ts';
import { isMovable, lastMoves, type LeftBehind } from '../../../model/maintenance.ts';
import type { Move } from '../../../model/move.ts';
import type { Operation, OperationStep } from '../../../model/operation.ts';
import { maintenanceKinds, selectMaintenanceUnderWay } from '../../../operations/host-maintenance.ts';
import type { Db } from '../../../store/db.ts';
import { selectInstancesByHost, selectInstancesToReturn } from '../../../store/instances.ts';
import { selectLeftBehind } from '../../../store/left-behind.ts';
import { selectMovesByBatch } from '../../../store/moves.ts';
import { selectLastOperationOfHost, selectOperationSteps } from '../../../store/operations.ts';

/** Locals of views/admin/hosts/maintenance.ejs, as `maintenance`. */
export interface HostMaintenance {
  /** the emptying or return that is at work */
  readonly underWay: { readonly operation: Operation; readonly steps: readonly OperationStep[] } | undefined;
  /** the last one, if none is at work */
  readonly last: Operation | undefined;
  /** what is on the host and would have to leave it */
  readonly here: readonly Instance[];
  /** what left it for a maintenance and is elsewhere */
  readonly toReturn: readonly Instance[];
}

export async function loadMaintenance(db: Db, host: Host): Promise<HostMaintenance> {
  const [operation, here, toReturn] = await Promise.all([selectMaintenanceUnderWay(db, host.id), selectInstancesByHost(db, host.id), selectInstancesToReturn(db, host.id)]);
  return {
    underWay: operation === undefined ? undefined : { operation, steps: await selectOperationSteps(db, operation.id) },
    last: operation === undefined ? await selectLastOperationOfHost(db, host.id, maintenanceKinds) : undefined,
    here: here.filter((instance) => isMovable(instance) || instance.operationId !== null).sort(byName),
    toReturn: toReturn.sort(byName),
  };
}

const byName = (a: Instance, b: Instance): number => (a.name < b.name ? -1 : 1);

export interface MaintenanceReport {
  readonly operation: Operation;
  readonly open: readonly Move[];
  readonly done: readonly Move[];
  readonly failed: readonly Move[];
  readonly cancelled: readonly Move[];
  readonly left: readonly LeftBehind[];
}

/** What came of an emptying or a return so far. */
export async function loadReport(db: Db, operation: Operation | undefined): Promise<MaintenanceReport | null> {
  if (operation === undefined) return null;
  const [moves, left] = await Promise.all([selectMovesByBatch(db, operation.id), selectLeftBehind(db, operation.id)]);
  const last = lastMoves(moves);
  const failed = last.filter(({ state }) => state === 'failed');
  return {
    operation, failed,
    cancelled: last.filter(({ state }) => state === 'cancelled'),
    open: last.filter(({ endedAt }) => endedAt === null),
    done: last.filter(({ state }) => state === 'done'),
    // one that could not be tried elsewhere failed, and was left for that
    left: left.filter(({ instanceId }) => !failed.some((move) => move.instanceId === instanceId)),
  };
}
