// The measured series of a chart.
import type { MetricName, MetricUnit } from '../../model/metric.ts';
import type { Db } from '../../store/db.ts';
import { selectDeviceSeries, selectSeries, selectSeriesOf, type Series } from '../../store/series.ts';
import type { ChartDefinition } from './definitions.ts';
import type { TimeRange } from './range.ts';

/** Steps of a drawn chart: an hour at 10 s, which begins and ends within a step. More than a card has pixels would only make pages heavy. */
export const drawnPoints = 362;
/** Rows of a table that a person reads: an hour by whole minutes, which begins and ends within one. */
export const tablePoints = 62;
/** Rows of a file. */
export const filePoints = 3000;

/** What is looked at. */
export interface ChartSource {
  readonly subjectId: number;
  /** memory that it was given, in MiB; null: the highest that was measured is the whole */
  readonly memoryMib: number | null;
  /** one of its disks or interfaces instead of all together */
  readonly device: { readonly kind: 'disk' | 'interface'; readonly device: number } | null;
}

export interface ChartSeries {
  /** names it in files: `cpu-user` */
  readonly name: string;
  /** key of the catalogue, or a name that somebody gave */
  readonly label: { readonly key: string } | { readonly text: string };
  readonly values: Series;
}

/** A chart with its figures, in no language yet. */
export interface LoadedChart {
  readonly key: string;
  readonly unit: MetricUnit;
  /** where the scale ends; null: at a round figure above the highest value */
  readonly top: number | null;
  readonly stacked: readonly ChartSeries[];
  readonly lines: readonly ChartSeries[];
}

/** The first step in which anything was measured; -1: nothing was. What comes before it is no row of a table or file. */
export function firstMeasured({ stacked, lines }: LoadedChart): number {
  const firsts = [...stacked, ...lines].map(({ values }) => values.avg.findIndex((value) => value !== null)).filter((index) => index >= 0);
  return firsts.length === 0 ? -1 : Math.min(...firsts);
}

export async function loadChart(db: Db, definition: ChartDefinition, source: ChartSource, range: TimeRange, points: number, now: number): Promise<LoadedChart> {
  const { from, to } = range;
  const { subjectId, device } = source;
  const asked = device !== null && definition.device?.kind === device.kind ? definition.device.columns : undefined;
  const load = async (metric: MetricName, index: number): Promise<ChartSeries> => {
    const column = asked?.[index];
    const values = column === undefined
      ? await selectSeries(db, { subjectId, metric, from, to, points, now })
      : await selectDeviceSeries(db, { subjectId, device: device?.device ?? 0, column, from, to, points, now });
    return { name: metric.slice(metric.indexOf('.') + 1), label: { key: `charts.series.${metric}` }, values };
  };
  const [stacked, lines] = await Promise.all([Promise.all((definition.stacked ?? []).map(load)), Promise.all(definition.lines.map(load))]);
  return { key: definition.key, unit: definition.unit, top: definition.whole === true ? wholeOf(definition.unit, source, lines) : null, stacked, lines };
}

function wholeOf(unit: MetricUnit, { memoryMib }: ChartSource, lines: readonly ChartSeries[]): number | null {
  if (unit === 'percent') return 100;
  if (unit === 'share') return 1;
  return memoryMib ?? Math.max(0, ...lines.flatMap(({ values }) => values.max.map((value) => value ?? 0)));
}

export interface ComparedHost { readonly id: string; readonly name: string; readonly subjectId: number }

/** One figure of several hosts in one chart. */
export async function loadComparison(db: Db, hosts: readonly ComparedHost[], metric: MetricName, unit: MetricUnit, range: TimeRange, points: number, now: number): Promise<LoadedChart> {
  const { from, to } = range;
  const found = await selectSeriesOf(db, { subjectIds: hosts.map(({ subjectId }) => subjectId), metric, from, to, points, now });
  const lines = hosts.flatMap(({ name, subjectId }): ChartSeries[] => {
    const values = found.get(subjectId);
    return values === undefined ? [] : [{ name, label: { text: name }, values }];
  });
  return { key: metric.slice('host.'.length), unit, top: unit === 'percent' ? 100 : unit === 'share' ? 1 : null, stacked: [], lines };
}
