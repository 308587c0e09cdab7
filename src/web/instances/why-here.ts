// Why an instance is where it is: the decision that brought it there, with the hosts as they are called now.
import type { HostScore } from '../../model/admission.ts';
import type { Instance } from '../../model/instance.ts';
import type { Db } from '../../store/db.ts';
import { selectHosts } from '../../store/hosts.ts';
import { selectOptionalInstancePlacement, type PlacementRecord } from '../../store/instance-placements.ts';

export interface WhyHere extends Pick<PlacementRecord, 'at' | 'cause'> {
  /** best first; empty: there was nothing to choose from */
  readonly considered: readonly HostScore[];
  readonly chosenHostId: string | null;
}

/** For include('why-here', { whyHere }). undefined: no decision was kept. */
export async function loadWhyHere(db: Db, { id }: Pick<Instance, 'id'>): Promise<WhyHere | undefined> {
  const [record, hosts] = await Promise.all([selectOptionalInstancePlacement(db, id), selectHosts(db)]);
  if (record === undefined) return undefined;
  const { at, cause, placement } = record;
  const names = new Map(hosts.map((host) => [host.id, host.name]));
  const considered = (placement?.considered ?? []).map((each) => ({ ...each, hostName: names.get(each.hostId) ?? each.hostName }));
  return { at, cause, considered, chosenHostId: placement?.hostId ?? null };
}
