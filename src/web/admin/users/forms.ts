// What an admin types about users.
import { z } from 'zod';
import { roles } from '../../../model/access.ts';
import { settingsBounds } from '../../../model/settings.ts';
import { userStates } from '../../../model/user.ts';
import { choice, email, optionalNumber } from '../../forms.ts';
import { displayName, userName } from '../../session/forms.ts';

/** The list's filter, out of the URL: what cannot be used is left out, a list is never an error. */
export const userListQuery = z.object({
  q: z.string().max(100).catch(''),
  state: z.enum(userStates).optional().catch(undefined),
  page: z.coerce.number().int().min(1).max(1_000_000).catch(1),
});

export const newUserForm = z.object({ name: userName(), displayName: displayName(), email: email(), role: choice(roles) });

export const roleForm = z.object({ role: choice(roles) });


const bounded = ([min, max]: readonly [number, number]) => optionalNumber({ min, max });

/** Empty: the default of the settings. */
export const quotaForm = z.object({
  instances: bounded(settingsBounds.quotaInstances),
  vcpus: bounded(settingsBounds.quotaVcpus),
  memoryMib: bounded(settingsBounds.quotaMemoryMib),
  diskGib: bounded(settingsBounds.quotaDiskGib),
});
