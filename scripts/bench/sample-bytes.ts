// Bytes that one instance costs when all tiers are full, all metrics, one disk and one network interface: rows of the database
// with its indexes and overhead, beside an RRD file with the same metrics and tiers.
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dayMs } from '../../src/model/roll-up.ts';
import { sampleTables } from '../../src/model/sample-size.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { insertDeviceSamples } from '../../src/store/device-samples.ts';
import { selectTableSizes } from '../../src/store/sample-sizes.ts';
import { createTestDatabase, databaseEngine } from '../../test/helpers/database.ts';
import { rrdtool } from './rrdtool.ts';
import { fillTiers, instanceMetrics, rrdCreate, valueAt, type Load } from './sample-history.ts';

const option = (name: string, standard: number): number => (process.argv.includes(name) ? Number(process.argv[process.argv.indexOf(name) + 1]) : standard);
const instances = option('--instances', 20);
const keep = defaultSettings.monitoring;
// the end of a day: as many hours as there are before they go
const now = 20_500 * dayMs + 20 * 3_600_000;
const kib = (bytes: number): string => (bytes / 1024).toFixed(0);

async function measure(load: Load): Promise<{ readonly total: number; readonly rows: string[] }> {
  const database = await createTestDatabase();
  try {
    const subjects = Array.from({ length: instances }, (_, index) => index + 1);
    await fillTiers(database.db, load, subjects, now, keep);
    for (let at = now - 120 * 60_000 + 60_000; at <= now; at += 60_000) {
      const value = (metric: 'instance.disk-read' | 'instance.disk-write', subject: number): number => valueAt(load, subject, metric, at);
      await insertDeviceSamples(database.db, subjects.flatMap((subject) => [0, 16].map((device) => ({
        subjectId: subject, device, at, readBytesPerSecond: value('instance.disk-read', subject), writeBytesPerSecond: value('instance.disk-write', subject), readOpsPerSecond: 5, writeOpsPerSecond: 5, allocationMib: 4096,
      }))));
    }
    if (databaseEngine() === 'innodb') for (const table of sampleTables) await database.db.query(`ANALYZE TABLE ${table}`);
    const sizes = await selectTableSizes(database.db);
    const counted = await Promise.all(sampleTables.map(async (table) => ({ table, rows: (await database.db.query<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`))[0]?.n ?? 0, bytes: sizes[table].bytes })));
    const used = counted.filter(({ rows }) => rows > 0);
    return {
      total: used.reduce((sum, { bytes }) => sum + bytes, 0) / instances,
      rows: used.map(({ table, rows, bytes }) => `| ${load}: ${table} | ${rows / instances} | ${(bytes / rows).toFixed(0)} | ${kib(bytes / instances)} | |`),
    };
  } finally {
    await database.close();
  }
}

async function rrdBytes(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-rrd-'));
  try {
    await rrdtool(...rrdCreate(join(folder, 'a.rrd'), now, keep));
    return (await stat(join(folder, 'a.rrd'))).size;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const rrd = await rrdBytes();
const lines: string[] = [];
const totals = new Map<Load, number>();
for (const load of ['usual', 'wild'] as const) {
  const { total, rows } = await measure(load);
  totals.set(load, total);
  lines.push(...rows, `| ${load}: all | | | ${kib(total)} | ${(total / rrd).toFixed(2)} |`);
}
console.log(`\n| ${databaseEngine() === 'ndbcluster' ? 'MySQL Cluster, one copy' : 'MariaDB or MySQL'}: one instance, full | rows | bytes a row | KiB | / RRD file |\n|---|---|---|---|---|`);
for (const line of lines) console.log(line);
console.log(`| RRD file, ${instanceMetrics.length} metrics, the same tiers | | | ${kib(rrd)} | 1.00 |\n`);
const worst = Math.max(...totals.values()) / rrd;
console.log(`- ≤ 1.5 × the RRD file: ${worst <= 1.5 ? 'reached' : 'MISSED'} (${((totals.get('usual') ?? NaN) / rrd).toFixed(2)} of a usual load, ${worst.toFixed(2)} of one without any order)`);
