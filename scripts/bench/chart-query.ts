// One metric of one instance, a day and a year, 400 points with mean, least and most: selectSeries beside `rrdtool xport` of a
// file with the same history, as a process a query and through rrdtool's pipe, in turn.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dayMs } from '../../src/model/roll-up.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { selectSeries } from '../../src/store/series.ts';
import { createTestDatabase, databaseEngine } from '../../test/helpers/database.ts';
import { openRrdPipe, rrdtool } from './rrdtool.ts';
import { fillTiers, instanceMetrics, rrdCreate, rrdUpdates } from './sample-history.ts';

const option = (name: string, standard: number): number => (process.argv.includes(name) ? Number(process.argv[process.argv.indexOf(name) + 1]) : standard);
const rounds = option('--rounds', 40);
const instances = option('--instances', 10);
const metric = 'instance.cpu';
const keep = defaultSettings.monitoring;
// half past twelve: half an hour and half a day are not rolled up yet
const now = 20_500 * dayMs + 12.5 * 3_600_000;

const database = await createTestDatabase();
const folder = await mkdtemp(join(tmpdir(), 'bench-rrd-'));
const pipe = openRrdPipe();
try {
  const subjects: number[] = [];
  for (let index = 0; index < instances; index++) subjects.push(await insertSampleSubject(database.db, `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`, now - 400 * dayMs));
  await fillTiers(database.db, 'usual', subjects, now, keep);
  const fileOf = (subject: number): string => join(folder, `${subject}.rrd`);
  const compared = subjects.slice(0, 5);
  for (const subject of compared) {
    await rrdtool(...rrdCreate(fileOf(subject), now - keep.quarterDays * dayMs, keep));
    for (const line of rrdUpdates(fileOf(subject), 'usual', subject, now, keep.quarterDays)) await pipe.ask(line);
  }
  const xport = (subject: number, lengthMs: number): string[] => {
    const source = `${fileOf(subject)}:m${instanceMetrics.indexOf(metric)}`;
    return ['xport', '--start', String(Math.floor((now - lengthMs) / 1000)), '--end', String(Math.floor(now / 1000)), '--maxrows', '400',
      `DEF:a=${source}:AVERAGE`, `DEF:i=${source}:MIN`, `DEF:x=${source}:MAX`, 'XPORT:a:avg', 'XPORT:i:min', 'XPORT:x:max'];
  };
  const ways: Record<string, (subject: number, lengthMs: number) => Promise<number>> = {
    'selectSeries': async (subjectId, lengthMs) => (await selectSeries(database.db, { subjectId, metric, from: now - lengthMs, to: now, points: 400, now })).avg.filter((value) => value !== null).length,
    'rrdtool xport, a process a query': async (subject, lengthMs) => rowsOf(await rrdtool(...xport(subject, lengthMs))),
    'rrdtool xport through its pipe': async (subject, lengthMs) => rowsOf(await pipe.ask(xport(subject, lengthMs).join(' '))),
  };
  const times = new Map<string, number[]>();
  for (let round = -3; round < rounds; round++) {
    for (const [range, lengthMs] of [['1 day', dayMs], ['1 year', 365 * dayMs]] as const) {
      for (const [way, query] of Object.entries(ways)) {
        const startedAt = performance.now();
        const rows = await query(compared[(round + 3) % compared.length] ?? 0, lengthMs);
        const elapsedMs = performance.now() - startedAt;
        if (rows < 350 || rows > 401) throw new Error(`${way} of ${range} gave ${rows} points`);
        if (round >= 0) times.set(`${way} ${range}`, [...(times.get(`${way} ${range}`) ?? []), elapsedMs]);
      }
    }
  }
  report(times, Object.keys(ways));
} finally {
  pipe.close();
  await database.close();
  await rm(folder, { recursive: true, force: true });
}

/** Rows of an answer that have a value. */
function rowsOf(xml: string): number {
  return [...xml.matchAll(/<row>(.*?)<\/row>/gs)].filter(([row]) => !/<v>-?nan/i.test(row)).length;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

function report(measured: ReadonlyMap<string, readonly number[]>, names: readonly string[]): void {
  const ours = (range: string): number => quantile(measured.get(`selectSeries ${range}`) ?? [], 0.5);
  console.log(`\n| ${databaseEngine() === 'ndbcluster' ? 'MySQL Cluster' : 'MariaDB or MySQL'}: 400 points, median of ${rounds} (p95) | 1 day ms | 1 year ms | ours / this, 1 day | 1 year |\n|---|---|---|---|---|`);
  for (const name of names) {
    const cells = ['1 day', '1 year'].map((range) => `${quantile(measured.get(`${name} ${range}`) ?? [], 0.5).toFixed(2)} (${quantile(measured.get(`${name} ${range}`) ?? [], 0.95).toFixed(1)})`);
    const ratios = ['1 day', '1 year'].map((range) => (ours(range) / quantile(measured.get(`${name} ${range}`) ?? [], 0.5)).toFixed(2));
    console.log(`| ${[name, ...cells, ...ratios].join(' | ')} |`);
  }
  const ratio = (name: string): number => Math.max(...['1 day', '1 year'].map((range) => ours(range) / quantile(measured.get(`${name} ${range}`) ?? [], 0.5)));
  console.log('');
  if (databaseEngine() === 'ndbcluster') console.log(`- < 20 ms on MySQL Cluster: ${Math.max(ours('1 day'), ours('1 year')) < 20 ? 'reached' : 'MISSED'} (${ours('1 day').toFixed(1)} and ${ours('1 year').toFixed(1)})`);
  else for (const name of names.slice(1)) console.log(`- ≤ 1.5 × ${name}: ${ratio(name) <= 1.5 ? 'reached' : 'MISSED'} (${ratio(name).toFixed(2)})`);
}
