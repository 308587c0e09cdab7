// A chart's figures as a file: a row a step, UTC, plain numbers in the unit that the head names.
import { csvLine, csvMark, fileName } from '../csv.ts';
import { firstMeasured, type LoadedChart } from './load.ts';
import { isoSeconds, type TimeRange } from './range.ts';
import { plainNumber, unitNames } from './words.ts';

export function chartCsv(chart: LoadedChart): string {
  const all = [...chart.stacked, ...chart.lines];
  const unit = unitNames[chart.unit];
  const heads = all.flatMap(({ name }) => ['mean', 'lowest', 'highest'].map((which) => `${name} ${which} (${unit})`));
  const figure = (value: number | null | undefined): number | null => (value === null || value === undefined ? null : plainNumber(value));
  const first = firstMeasured(chart);
  const rows = (all[0]?.values.at ?? []).flatMap((at, index) =>
    first >= 0 && index >= first ? [csvLine([isoSeconds(at), ...all.flatMap(({ values }) => [figure(values.avg[index]), figure(values.min[index]), figure(values.max[index])])])] : []);
  return `${csvMark}${csvLine(['time (UTC)', ...heads])}${rows.join('')}`;
}

export function chartFileName(subject: string, chart: string, { from, to }: TimeRange): string {
  const moment = (at: number): string => isoSeconds(at).replaceAll(/[-:]/g, '');
  return `${fileName(subject, chart, moment(from), moment(to))}.csv`;
}
