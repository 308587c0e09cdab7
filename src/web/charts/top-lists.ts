// The busiest instances and hosts, as the collector left them: names come in one query each, nothing is sorted here. Machines are
// for admins: other people's names are nobody else's business.
import type { Role } from '../../model/access.ts';
import { topHosts, topInstances, topMeasures, type TopLists, type TopMeasure } from '../../model/top-list.ts';
import type { Db } from '../../store/db.ts';
import { selectHostPlaces } from '../../store/hosts.ts';
import { selectInstancesByIds } from '../../store/instances.ts';
import { selectSnapshot } from '../../store/snapshots.ts';
import { selectUserNames } from '../../store/users.ts';
import { paths } from '../paths.ts';
import type { Reader } from './view.ts';

export interface TopListView {
  readonly kind: 'instances' | 'hosts';
  /** when the list was made */
  readonly at: number;
  readonly measures: readonly { readonly measure: TopMeasure; readonly entries: readonly TopEntry[] }[];
}

interface TopEntry extends Named {
  readonly path: string;
  readonly value: string;
  /** of the first's, for its bar */
  readonly percent: number;
}

/** Two people's machines may bear one name. */
interface Named { readonly name: string; readonly owner?: string }

/** So many of each stand on a page. */
const shown = 5;

export async function loadTopLists(db: Db, role: Role, reader: Reader, now: number): Promise<TopListView[]> {
  if (role !== 'admin') return [];
  const [instances, hosts] = await Promise.all([selectSnapshot<TopLists>(db, topInstances), selectSnapshot<TopLists>(db, topHosts)]);
  const fresh = (at: number): boolean => now - at < 7_200_000;
  const [instanceNames, hostNames] = await Promise.all([
    nameInstances(db, instances === undefined ? [] : idsIn(instances.value)), selectHostPlaces(db, hosts === undefined ? [] : idsIn(hosts.value)),
  ]);
  const hostPath = (id: string): string => paths.adminItem('hosts', id);
  return [
    ...(instances !== undefined && fresh(instances.at) ? [{ kind: 'instances' as const, at: instances.at, measures: measuresOf('instances', instances.value, instanceNames, paths.instance, reader) }] : []),
    ...(hosts !== undefined && fresh(hosts.at) ? [{ kind: 'hosts' as const, at: hosts.at, measures: measuresOf('hosts', hosts.value, hostNames, hostPath, reader) }] : []),
  ];
}

async function nameInstances(db: Db, ids: readonly string[]): Promise<Map<string, Named>> {
  const instances = await selectInstancesByIds(db, ids);
  const owners = await selectUserNames(db, [...new Set(instances.map(({ userId }) => userId))]);
  return new Map(instances.map(({ id, name, userId }) => [id, { name, owner: owners.get(userId) ?? '–' }]));
}

function idsIn(lists: TopLists): string[] {
  return [...new Set(topMeasures.flatMap((measure) => lists[measure].slice(0, shown).map(({ id }) => id)))];
}

function measuresOf(kind: 'instances' | 'hosts', lists: TopLists, names: ReadonlyMap<string, Named>, pathOf: (id: string) => string, { fmt }: Reader): TopListView['measures'] {
  const text: Readonly<Record<TopMeasure, (value: number) => string>> = {
    cpu: fmt.percent, memory: kind === 'hosts' ? fmt.percent : fmt.mib, disk: fmt.bytesPerSecond, network: fmt.bytesPerSecond,
  };
  return topMeasures.map((measure) => ({
    measure,
    // what was deleted since has no name
    entries: lists[measure].slice(0, shown).flatMap(({ id, value }, _index, [first]) => {
      const named = names.get(id);
      return named === undefined ? [] : [{ name: named.name, ...(named.owner === undefined ? {} : { owner: named.owner }), path: pathOf(id), value: text[measure](value), percent: Math.round((100 * value) / Math.max(value, first?.value ?? value)) }];
    }),
  }));
}
