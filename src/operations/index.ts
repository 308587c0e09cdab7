// kind → what it consists of. The runner, cancelling and submitting look here.
import type { OperationKind } from '../model/operation.ts';
import { instanceCreate } from './instance-create-steps.ts';
import { instanceDelete } from './instance-delete.ts';
import { instanceForceOff, instanceReboot, instanceShutdown, instanceStart } from './instance-power.ts';
import type { Definition } from './step.ts';

export const definitions: Readonly<Record<OperationKind, Definition>> = {
  'instance-create': instanceCreate,
  'instance-start': instanceStart,
  'instance-shutdown': instanceShutdown,
  'instance-force-off': instanceForceOff,
  'instance-reboot': instanceReboot,
  'instance-delete': instanceDelete,
};
