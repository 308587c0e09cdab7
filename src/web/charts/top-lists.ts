// The busiest instances and hosts, as the collector left them: names come in one query each, nothing is sorted here. Machines are
// for admins: other people's names are nobody else's business.
import type { Role } from '../../model/access.ts';
import { topHosts, topInstances, topMeasures, type TopLists, type TopMeasure } from '../../model/top-list.ts';
import type { Db } from '../../store/db.ts';
import { selectHostPlaces } from '../../store/hosts.ts';
import { selectInstancesByIds } from '../../store/instances.ts';
import { selectSnapshot } from '../../store/snapshots.ts';
import { paths } from '../paths.ts';
import type { Reader } from './view.ts';

export interface TopListView {
  readonly kind: 'instances' | 'hosts';
  /** when the list was made */
  readonly at: number;
  readonly measures: readonly { readonly measure: TopMeasure; readonly entries: readonly { readonly name: string; readonly path: string; readonly value: string; /** of the first's, for its bar */ readonly percent: number }[] }[];
}

/** So many of each stand on a page. */
const shown = 5;

export async function loadTopLists(db: Db, role: Role, reader: Reader, now: number): Promise<TopListView[]> {
  if (role !== 'admin') return [];
  const [instances, hosts] = await Promise.all([selectSnapshot<TopLists>(db, topInstances), selectSnapshot<TopLists>(db, topHosts)]);
  const fresh = (at: number): boolean => now - at < 7_200_000;
  const [instanceNames, hostNames] = await Promise.all([
    instances === undefined ? new Map<string, string>() : selectInstancesByIds(db, idsIn(instances.value)).then((rows) => new Map(rows.map(({ id, name }) => [id, name]))),
    hosts === undefined ? new Map<string, string>() : selectHostPlaces(db, idsIn(hosts.value)).then((places) => new Map([...places].map(([id, { name }]) => [id, name]))),
  ]);
  const hostPath = (id: string): string => paths.adminItem('hosts', id);
  return [
    ...(instances !== undefined && fresh(instances.at) ? [{ kind: 'instances' as const, at: instances.at, measures: measuresOf('instances', instances.value, instanceNames, paths.instance, reader) }] : []),
    ...(hosts !== undefined && fresh(hosts.at) ? [{ kind: 'hosts' as const, at: hosts.at, measures: measuresOf('hosts', hosts.value, hostNames, hostPath, reader) }] : []),
  ];
}

function idsIn(lists: TopLists): string[] {
  return [...new Set(topMeasures.flatMap((measure) => lists[measure].slice(0, shown).map(({ id }) => id)))];
}

function measuresOf(kind: 'instances' | 'hosts', lists: TopLists, names: ReadonlyMap<string, string>, pathOf: (id: string) => string, { fmt }: Reader): TopListView['measures'] {
  const text: Readonly<Record<TopMeasure, (value: number) => string>> = {
    cpu: fmt.percent, memory: kind === 'hosts' ? fmt.percent : fmt.mib, disk: fmt.bytesPerSecond, network: fmt.bytesPerSecond,
  };
  return topMeasures.map((measure) => ({
    measure,
    // what was deleted since has no name
    entries: lists[measure].slice(0, shown).flatMap(({ id, value }, _index, [first]) => {
      const name = names.get(id);
      return name === undefined ? [] : [{ name, path: pathOf(id), value: text[measure](value), percent: Math.round((100 * value) / Math.max(value, first?.value ?? value)) }];
    }),
  }));
}
