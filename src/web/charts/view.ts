// A loaded chart in the words of one reader, as views/charts/chart.ejs writes it.
import type { Language } from '../../model/user.ts';
import type { Format } from '../format.ts';
import type { Translate } from '../locales/index.ts';
import { firstMeasured, type ChartSeries, type LoadedChart } from './load.ts';
import { plotOf, type PlotLine, type Values } from './plot.ts';
import type { TimeRange } from './range.ts';
import { plainNumber, timeMark, valueText } from './words.ts';

export interface Reader { readonly t: Translate; readonly fmt: Format; readonly language: Language }

export interface LegendEntry {
  readonly label: string;
  /** 1–8: its colour and, for lines, its pattern */
  readonly number: number;
  readonly stacked: boolean;
  readonly mean: string;
  readonly lowest: string;
  readonly highest: string;
  readonly last: string;
  /** for charts.js, which reads them out: avg, min and max with commas between; nothing for what was not measured */
  readonly avg: string;
  readonly min: string;
  readonly max: string;
}

export interface ChartView {
  readonly key: string;
  readonly title: string;
  readonly unit: LoadedChart['unit'];
  readonly from: number;
  readonly to: number;
  /** of the first step, and how long each is */
  readonly firstAt: number;
  readonly stepMs: number;
  readonly empty: boolean;
  readonly areas: readonly (PlotLine & { readonly number: number })[];
  readonly lines: readonly (PlotLine & { readonly number: number })[];
  readonly levels: readonly { readonly text: string; readonly position: number }[];
  readonly times: readonly { readonly text: string; readonly at: number; readonly position: number }[];
  readonly timeStepMs: number;
  readonly legend: readonly LegendEntry[];
}

export function chartView(chart: LoadedChart, title: string, { from, to }: TimeRange, reader: Reader): ChartView {
  const { fmt, language } = reader;
  const all = [...chart.stacked, ...chart.lines];
  const plot = plotOf({ from, to, unit: chart.unit, top: chart.top, stacked: chart.stacked.map(({ values }) => values), lines: chart.lines.map(({ values }) => values) });
  const steps = all[0]?.values;
  return {
    key: chart.key, title, unit: chart.unit, from, to, firstAt: steps?.at[0] ?? from, stepMs: steps?.stepMs ?? 0,
    empty: all.every(({ values }) => values.avg.every((value) => value === null)),
    areas: plot.stacked.map((line, index) => ({ ...line, number: index + 1 })),
    lines: plot.lines.map((line, index) => ({ ...line, number: chart.stacked.length + index + 1 })),
    levels: plot.levels.map(({ value, position }) => ({ text: valueText(value, chart.unit, fmt), position })),
    times: plot.times.map(({ at, position }) => ({ text: timeMark(at, plot.timeStepMs, language), at, position })),
    timeStepMs: plot.timeStepMs,
    legend: all.map((series, index) => legendEntry(series, index, chart, reader)),
  };
}

export function labelText({ label }: ChartSeries, t: Translate): string {
  return 'key' in label ? t(label.key) : label.text;
}

function legendEntry(series: ChartSeries, index: number, { unit, stacked }: LoadedChart, { t, fmt }: Reader): LegendEntry {
  const { values } = series;
  const known = values.avg.filter((value) => value !== null);
  const text = (value: number | null): string => valueText(value, unit, fmt);
  const spread = known.length > 0 && values.max.some((value, at) => value !== values.min[at]);
  return {
    label: labelText(series, t), number: index + 1, stacked: index < stacked.length,
    mean: text(known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length),
    lowest: text(extreme(values.min, Math.min)), highest: text(extreme(values.max, Math.max)), last: text(known.at(-1) ?? null),
    avg: joined(values.avg), min: spread ? joined(values.min) : '', max: spread ? joined(values.max) : '',
  };
}

function extreme(list: Values['min'], of: (...values: number[]) => number): number | null {
  const known = list.filter((value) => value !== null);
  return known.length === 0 ? null : of(...known);
}

function joined(list: Values['avg']): string {
  return list.map((value) => (value === null ? '' : plainNumber(value))).join(',');
}

/** The same figures as rows, in words, the newest first: a mean, and what it lay between. */
export interface TableView { readonly stepMs: number; readonly heads: readonly string[]; readonly rows: readonly { readonly at: number; readonly cells: readonly string[] }[] }

export function tableView(chart: LoadedChart, { t, fmt }: Reader): TableView {
  const all = [...chart.stacked, ...chart.lines];
  const cell = ({ values }: ChartSeries, index: number): string => {
    const [avg = null, min = null, max = null] = [values.avg[index], values.min[index], values.max[index]];
    const text = (value: number | null): string => valueText(value, chart.unit, fmt);
    return avg === null || min === max ? text(avg) : t('charts.table.spread', { mean: text(avg), lowest: text(min), highest: text(max) });
  };
  const first = firstMeasured(chart);
  const rows = (all[0]?.values.at ?? []).map((at, index) => ({ at, cells: all.map((series) => cell(series, index)) }));
  return { stepMs: all[0]?.values.stepMs ?? 0, heads: all.map((series) => labelText(series, t)), rows: first < 0 ? [] : rows.slice(first).reverse() };
}
