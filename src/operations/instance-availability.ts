// What an owner wishes for the day a host fails: whether the instance is started elsewhere, in which turn, and which other
// instances of theirs it is kept apart from.
import { AppError, say } from '../errors.ts';
import { haPriorityNames, mayGivePriority, type Instance } from '../model/instance.ts';
import type { User } from '../model/user.ts';
import { selectGroupHosts } from '../store/anti-affinity.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { updateInstanceAvailability } from '../store/instances.ts';
import type { OperationDeps } from './deps.ts';

export type AvailabilityWish = Pick<Instance, 'ha' | 'haPriority' | 'antiAffinity'>;

/** Records it. Nothing moves: `apart` false tells that another one of the group is on the same host until either of them is placed anew. */
export async function changeAvailability(
  deps: OperationDeps, { instance, actor, wish }: { readonly instance: Instance; readonly actor: Pick<User, 'id' | 'role'>; readonly wish: AvailabilityWish },
): Promise<{ readonly apart: boolean }> {
  if (!mayGivePriority(actor.role, wish.haPriority, instance.haPriority)) throw priorityRefused();
  const changed = wish.ha !== instance.ha || wish.haPriority !== instance.haPriority || wish.antiAffinity !== instance.antiAffinity;
  if (changed) {
    await deps.db.transaction(async (tx) => {
      await updateInstanceAvailability(tx, instance.id, wish);
      await insertInstanceEvent(tx, { instanceId: instance.id, at: deps.clock.now(), userId: actor.id, sentence: diaryLine(wish) });
    });
  }
  return { apart: await isApart(deps, instance, wish.antiAffinity) };
}

/** `field`: what the form or the API calls it */
export function priorityRefused(field = 'haPriority'): AppError {
  const sentence = say('instances.options.high-for-admins');
  return new AppError('invalid', sentence, { fields: { [field]: sentence } });
}

function diaryLine({ ha, haPriority, antiAffinity }: AvailabilityWish): ReturnType<typeof say> {
  const restart = ha ? `$instances.options.priority.${haPriorityNames[haPriority]}` : '$common.no';
  return antiAffinity === null ? say('instances.diary.options', { restart }) : say('instances.diary.options-group', { restart, group: antiAffinity });
}

async function isApart({ db }: OperationDeps, instance: Instance, antiAffinity: string | null): Promise<boolean> {
  return instance.hostId === null || !(await selectGroupHosts(db, { ...instance, antiAffinity })).has(instance.hostId);
}
