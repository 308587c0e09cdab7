// kind → what it consists of. The runner, cancelling and submitting look here.
import type { OperationKind } from '../model/operation.ts';
import { hostDrain } from './host-drain.ts';
import { hostBurnIn } from './host-burn-in.ts';
import { hostDrill } from './host-drill.ts';
import { hostRecover } from './host-recover.ts';
import { hostReturn } from './host-return.ts';
import { instanceCreate } from './instance-create-steps.ts';
import { instanceDelete } from './instance-delete.ts';
import { instanceMigrate } from './instance-migrate.ts';
import { instanceForceOff, instanceReboot, instanceShutdown, instanceStart } from './instance-power.ts';
import { instanceRecover } from './instance-recover.ts';
import type { Definition } from './step.ts';

export const definitions: Readonly<Record<OperationKind, Definition>> = {
  'instance-create': instanceCreate,
  'instance-start': instanceStart,
  'instance-shutdown': instanceShutdown,
  'instance-force-off': instanceForceOff,
  'instance-reboot': instanceReboot,
  'instance-delete': instanceDelete,
  'instance-migrate': instanceMigrate,
  'instance-recover': instanceRecover,
  'host-recover': hostRecover,
  'host-drill': hostDrill,
  'host-burn-in': hostBurnIn,
  'host-drain': hostDrain,
  'host-return': hostReturn,
};
