// What the Resource Monitor shows, and the same as the words of one language. Page and event stream get both here.
import { hostLimit } from '../../model/capacity.ts';
import { hostStatus, type Host } from '../../model/host.ts';
import type { HostSample } from '../../model/metrics.ts';
import { localStorageSpace, resourceTable, storageSpace, type ResourceRow, type StorageSpace } from '../../model/resources.ts';
import { loadResources } from '../../operations/cluster.ts';
import type { Db } from '../../store/db.ts';
import { selectLastHostSamples, selectLatestHostSamples } from '../../store/samples.ts';
import { selectSettings } from '../../store/settings.ts';
import type { Format } from '../format.ts';
import type { Translate } from '../locales/index.ts';

export interface HostLoad {
  readonly host: Host;
  /** null: never measured */
  readonly sample: HostSample | null;
  /** what may be promised there in all */
  readonly limit: ReturnType<typeof hostLimit>;
}

export interface ClusterState {
  readonly table: readonly ResourceRow[];
  readonly currency: string;
  readonly storage: StorageSpace;
  /** the pools in `storage` are on a network */
  readonly storageShared: boolean;
  /** the hosts' own disks, where there is network storage too */
  readonly localStorage: StorageSpace | null;
}

export async function loadClusterState(db: Db): Promise<ClusterState> {
  const { remaining, pools, settings, instances } = await loadResources(db);
  return {
    table: resourceTable(remaining, settings, instances),
    currency: settings.prices.currency,
    storage: storageSpace(pools),
    storageShared: pools.some((pool) => pool.shared),
    localStorage: localStorageSpace(pools) ?? null,
  };
}

/** Only those that somebody looks at: a cloud has a thousand. */
export async function loadHostLoads(db: Db, hosts: readonly Host[], now: number): Promise<HostLoad[]> {
  const subjectIds = hosts.map((host) => host.subjectId);
  const [{ overcommit }, latest] = await Promise.all([selectSettings(db), selectLatestHostSamples(db, subjectIds, now)]);
  const last = await selectLastHostSamples(db, subjectIds.filter((id) => !latest.has(id)), now);
  return hosts.map((host) => ({ host, sample: latest.get(host.subjectId) ?? last.get(host.subjectId) ?? null, limit: hostLimit(host, overcommit) }));
}

/** One line of the page, as live.js takes it. */
export interface ClusterLine {
  readonly key: string;
  readonly at?: number | null;
  readonly state?: string;
  readonly cells: Readonly<Record<string, string>>;
  readonly values?: Readonly<Record<string, number | null>>;
}

export function clusterWords(state: ClusterState, t: Translate, fmt: Format): ClusterLine[] {
  return [
    ...state.table.map((row) => ({ key: `item:${row.item}`, cells: { count: fmt.number(row.count, 2), subtotal: subtotalText(row, state.currency, t, fmt) } })),
    { key: 'storage', at: state.storage.sampledAt, cells: { figure: storageText(state.storage, t, fmt) } },
    ...(state.localStorage === null ? [] : [{ key: 'storage-local', at: state.localStorage.sampledAt, cells: { figure: storageText(state.localStorage, t, fmt) } }]),
  ];
}

export function hostLine({ host, sample, limit }: HostLoad, t: Translate, fmt: Format): ClusterLine {
  return {
    key: `host:${host.id}`,
    at: sample?.at ?? null,
    state: hostStatus(host),
    cells: {
      state: t(`resources.host-state.${hostStatus(host)}`), cpu: fmt.percent(sample?.cpuPercent ?? null), memory: memoryOf(sample, fmt),
      promisedVcpus: `${fmt.number(host.usedVcpus)} / ${fmt.number(limit.vcpus)}`, promisedMemory: `${fmt.mib(host.usedMemoryMib)} / ${fmt.mib(limit.memoryMib)}`,
    },
    values: {
      cpuPercent: sample?.cpuPercent ?? null, memoryPercent: memoryPercent(sample),
      promisedVcpus: share(host.usedVcpus, limit.vcpus), promisedMemory: share(host.usedMemoryMib, limit.memoryMib),
    },
  };
}

function subtotalText(row: ResourceRow, currency: string, t: Translate, fmt: Format): string {
  return row.subtotal === null ? t('resources.not-for-sale') : fmt.money(row.subtotal, currency);
}

function storageText({ usedBytes, totalBytes, sampledAt }: StorageSpace, t: Translate, fmt: Format): string {
  if (sampledAt === null) return t('resources.not-measured');
  const gib = 1024 ** 3;
  return t('resources.storage-figure', { used: fmt.number(usedBytes / gib, usedBytes < 10 * gib ? 1 : 0), total: fmt.number(totalBytes / gib) });
}

function memoryOf(sample: HostSample | null, fmt: Format): string {
  return `${fmt.mib(sample?.memoryUsedMib ?? null)} / ${fmt.mib(sample?.memoryTotalMib ?? null)}`;
}

function memoryPercent(sample: HostSample | null): number | null {
  return sample === null || sample.memoryUsedMib === null ? null : share(sample.memoryUsedMib, sample.memoryTotalMib ?? 0);
}

/** Percent, for a bar. */
function share(part: number, whole: number): number {
  return whole <= 0 ? 0 : Math.min(100, Math.round((1000 * part) / whole) / 10);
}
