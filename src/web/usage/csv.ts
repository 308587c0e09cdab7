// Usage as a file for table programs: hours, and a column for each currency. Costs have six decimals, so that they add up to
// what the pages show rounded.
import type { Response } from 'express';
import type { Usage } from '../../model/usage.ts';
import { csvLine, csvMark } from '../csv.ts';

const hour = 3_600_000;
const figure = (value: number): number => Math.round(value * 1e6) / 1e6;

export interface CsvRow {
  readonly names: readonly string[];
  readonly usage: Usage;
}

export function usageCsv(heads: readonly string[], rows: readonly CsvRow[], currencies: readonly string[]): string {
  const columns = [...heads, 'instance_hours', 'vcpu_hours', 'memory_gib_hours', 'disk_gib_hours', ...currencies.map((currency) => `cost ${currency}`)];
  const lines = rows.map(({ names, usage }) => csvLine([
    ...names, figure(usage.instanceMs / hour), figure(usage.vcpuMs / hour), figure(usage.memoryMibMs / 1024 / hour), figure(usage.diskGibMs / hour),
    ...currencies.map((currency) => figure(usage.costs.get(currency) ?? 0)),
  ]));
  return [csvMark, csvLine(columns), ...lines].join('');
}

export function sendCsv(res: Response, name: string, text: string): void {
  res.type('text/csv; charset=utf-8').setHeader('Content-Disposition', `attachment; filename="${name}.csv"`);
  res.send(text);
}
