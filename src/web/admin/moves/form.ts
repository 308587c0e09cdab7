// The form "move to another host" on an instance's page: hosts to choose from. The check before the move names what stands against it.
import { hostRoom, isOpenForNew } from '../../../model/capacity.ts';
import type { Host } from '../../../model/host.ts';
import { instanceRefuses, type Instance } from '../../../model/instance.ts';
import type { Sentence } from '../../../errors.ts';
import type { Size } from '../../../model/size.ts';
import type { Db } from '../../../store/db.ts';
import { selectHosts } from '../../../store/hosts.ts';
import { selectSettings } from '../../../store/settings.ts';
import { anywhere } from './forms.ts';

/** Locals of views/admin/moves/form.ejs, as `moveForm`. */
export interface MoveForm {
  readonly instance: Instance;
  /** why it cannot be moved at all now; null: it can be tried */
  readonly refusal: Sentence | null;
  readonly targets: readonly { readonly host: Host; readonly room: Omit<Size, 'diskGib'> }[];
  /** the choice "placement chooses" */
  readonly anywhere: string;
}

export async function loadMoveForm(db: Db, instance: Instance): Promise<MoveForm> {
  const [hosts, { overcommit }] = await Promise.all([selectHosts(db), selectSettings(db)]);
  const targets = hosts.filter((host) => isOpenForNew(host) && host.id !== instance.hostId).map((host) => ({ host, room: hostRoom(host, overcommit) }));
  return { instance, refusal: instanceRefuses('migrate', instance) ?? null, targets, anywhere };
}
