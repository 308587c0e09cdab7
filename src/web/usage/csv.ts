// Usage as a file for table programs: hours, and a column for each currency. Costs have six decimals, so that they add up to
// what the pages show rounded.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'express';
import { createUsageMeter, type Usage, type UsageSums } from '../../model/usage.ts';
import type { Db } from '../../store/db.ts';
import { selectUsagePeriods } from '../../store/usage-periods.ts';
import { csvLine, csvMark } from '../csv.ts';
import { loadPrices } from './load.ts';
import type { UsageRange } from './range.ts';

const hour = 3_600_000;
const figure = (value: number): number => Math.round(value * 1e6) / 1e6;
/** Characters sent at a time: a line alone is a packet of its own. */
const chunkLength = 65_536;

/** `columns`: what each line begins with. */
export function usageHead(columns: readonly string[], currencies: readonly string[]): string {
  return csvMark + csvLine([...columns, 'instance_hours', 'vcpu_hours', 'memory_gib_hours', 'disk_gib_hours', ...currencies.map((currency) => `cost ${currency}`)]);
}

export function usageLine(names: readonly string[], usage: Usage, currencies: readonly string[]): string {
  return csvLine([
    ...names, figure(usage.instanceMs / hour), figure(usage.vcpuMs / hour), figure(usage.memoryMibMs / 1024 / hour), figure(usage.diskGibMs / hour),
    ...currencies.map((currency) => figure(usage.costs.get(currency) ?? 0)),
  ]);
}

/** One line for each of a user's machines and each bucket in which it was there: of all machines, and none is kept once it is written. */
export async function* machineLines(db: Db, range: UsageRange, now: number, userId: string): AsyncGenerator<string> {
  const { history, currencies } = await loadPrices(db, range, now);
  const addPeriod = createUsageMeter({ buckets: range.buckets, lists: history, now });
  yield usageHead([range.by, 'instance', 'instance_id'], currencies);
  for await (const period of selectUsagePeriods(db, { from: range.from, to: Math.min(range.to, now), userId })) {
    const sums: UsageSums = new Map();
    addPeriod(sums, period);
    for (const [bucket, usage] of sums) yield usageLine([range.buckets[bucket]?.name ?? '', period.instanceName, period.instanceId], usage, currencies);
  }
}

/** Sends a file while its lines are made. What fails before there is anything to send is still an error page. */
export async function sendCsv(res: Response, name: string, lines: AsyncIterable<string>): Promise<void> {
  const chunks = inChunks(lines);
  const first = await chunks.next();
  res.type('text/csv; charset=utf-8').setHeader('Content-Disposition', `attachment; filename="${name}.csv"`);
  if (first.done !== true) res.write(first.value);
  await pipeline(Readable.from(chunks), res).catch((error: unknown) => {
    if (!hasGone(error)) throw error;
  });
}

/** Who asked closed the connection: nobody's failure. */
function hasGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}

async function* inChunks(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let chunk = '';
  for await (const line of lines) {
    chunk += line;
    if (chunk.length < chunkLength) continue;
    yield chunk;
    chunk = '';
  }
  yield chunk;
}
