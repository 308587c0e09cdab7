// Lines of the VM Monitor: an instance with its host's name and its last figures, and the same as the words of one
// language. Page and event stream show the same words because both get them here.
import { instanceActions, instanceCan, isChangingHosts, type Instance, type InstanceAction } from '../../model/instance.ts';
import { isStale, type InstanceSample } from '../../model/metrics.ts';
import type { Db } from '../../store/db.ts';
import type { Host } from '../../model/host.ts';
import { selectHostPlaces } from '../../store/hosts.ts';
import { selectLastInstanceSamples, selectLatestInstanceSamples } from '../../store/samples.ts';
import type { Format } from '../format.ts';
import { hostPort } from '../instances/host-port.ts';
import type { Translate } from '../locales/index.ts';

export interface MonitorRow {
  readonly instance: Instance;
  readonly host: Pick<Host, 'name' | 'consoleAddress'> | null;
  /** of a machine that runs; null: not measured */
  readonly sample: InstanceSample | null;
}

/** What changes while the page is open, in words. `at` is the time of the measured ones; null: there are none. */
export interface RowWords {
  readonly at: number | null;
  /** its state, or `busy`, or `moving` */
  readonly state: string;
  /** when it last changed hosts */
  readonly movedAt: number | null;
  readonly cells: {
    readonly state: string;
    readonly host: string;
    /** IP:port of its screen */
    readonly console: string;
    readonly address: string;
    readonly cpu: string;
    readonly memory: string;
    readonly diskRead: string;
    readonly diskWrite: string;
    readonly networkReceive: string;
    readonly networkTransmit: string;
  };
  readonly actions: readonly InstanceAction[];
}

/** Two slots of the rings. */
const lastPollMs = 12_000;

/** Adds host names and figures to instances: three statements however many they are. */
export async function loadRows(db: Db, instances: readonly Instance[], now: number): Promise<MonitorRow[]> {
  const running = instances.filter(mayBeMeasured).map((instance) => instance.subjectId);
  const [places, samples] = await Promise.all([selectHostPlaces(db, [...new Set(instances.flatMap(({ hostId }) => hostId ?? []))]), loadSamples(db, running, now)]);
  return instances.map((instance) => ({
    instance,
    host: instance.hostId === null ? null : (places.get(instance.hostId) ?? null),
    sample: mayBeMeasured(instance) ? (samples.get(instance.subjectId) ?? null) : null,
  }));
}

/** The figures of a machine that was stopped are not its figures any more. */
function mayBeMeasured(instance: Instance): boolean {
  return instance.state === 'running' || instance.state === 'paused';
}

/** Nearly all were measured at the last poll: the older slots are read only for those that were not. */
async function loadSamples(db: Db, subjectIds: readonly number[], now: number): Promise<Map<number, InstanceSample>> {
  const found = await selectLatestInstanceSamples(db, subjectIds, now, lastPollMs);
  for (const select of [selectLatestInstanceSamples, selectLastInstanceSamples]) {
    const silent = subjectIds.filter((id) => !found.has(id));
    if (silent.length === 0) break;
    for (const [id, sample] of await select(db, silent, now)) found.set(id, sample);
  }
  return found;
}

export function rowWords({ instance, host, sample }: MonitorRow, t: Translate, fmt: Format): RowWords {
  return {
    at: sample?.at ?? null,
    state: instance.operationId === null ? instance.state : isChangingHosts(instance) ? 'moving' : 'busy',
    movedAt: instance.movedAt,
    cells: {
      state: stateWord(instance, t),
      host: host?.name ?? '–',
      console: consoleWord(instance, host),
      address: instance.address ?? '–',
      cpu: fmt.percent(sample?.cpuPercent ?? null),
      memory: fmt.mib(sample?.memoryUsedMib ?? null),
      diskRead: fmt.bytesPerSecond(sample?.diskReadBytesPerSecond ?? null),
      diskWrite: fmt.bytesPerSecond(sample?.diskWriteBytesPerSecond ?? null),
      networkReceive: fmt.bytesPerSecond(sample?.networkReceiveBytesPerSecond ?? null),
      networkTransmit: fmt.bytesPerSecond(sample?.networkTransmitBytesPerSecond ?? null),
    },
    actions: instanceActions.filter((action) => instanceCan(action, instance)),
  };
}

function consoleWord({ state, consolePort }: Instance, host: MonitorRow['host']): string {
  if (host === null || consolePort === null || (state !== 'running' && state !== 'paused')) return '–';
  return hostPort(host.consoleAddress, consolePort);
}

/** "Running", or what is being done with it: "Starting". */
export function stateWord(instance: Pick<Instance, 'state' | 'operationId' | 'operationKind'>, t: Translate): string {
  return instance.operationId === null ? t(`instances.state.${instance.state}`) : t(`monitor.busy.${instance.operationKind ?? 'other'}`);
}

export function isRowStale(row: MonitorRow, now: number, pollIntervalMs: number): boolean {
  return row.sample !== null && isStale(row.sample.at, now, pollIntervalMs);
}
