// One look at the shipped alert rules and two on machines' values, over a large cloud that is rows and samples alone: all well but
// for 50 busy machines, and then nothing measured of any machine. N−1 is left out: the job looks at it for a hundredth of the time.
import { randomUUID } from 'node:crypto';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { defaultRules } from '../../src/model/alert-rule.ts';
import { evaluateAlerts } from '../../src/operations/incidents.ts';
import { insertAlertRule } from '../../src/store/alert-rules.ts';
import type { Database } from '../../src/store/db.ts';
import { insertInstanceSamples } from '../../src/store/samples.ts';
import { createTestDatabase, databaseEngine } from '../../test/helpers/database.ts';
import { fillCloud } from '../../test/helpers/filled-cloud.ts';
import { median } from './fleet.ts';

const option = (name: string, standard: number): number => (process.argv.includes(name) ? Number(process.argv[process.argv.indexOf(name) + 1]) : standard);
const rounds = option('--rounds', 9);
const hosts = option('--hosts', 1250);
const instances = option('--instances', 20_000);
const goals = { cpuMs: 200, turnMs: 50 };
const busy = 50;

interface Look { readonly wallMs: number; readonly cpuMs: number; readonly turnMs: number }

async function look(db: Database, now: number): Promise<Look> {
  const turns = monitorEventLoopDelay({ resolution: 1 });
  turns.enable();
  const [cpu, began] = [process.cpuUsage(), performance.now()];
  await evaluateAlerts({ db, pollIntervalMs: 10_000, jobPeriods: new Map(), mailEnabled: true }, now);
  const used = process.cpuUsage(cpu);
  turns.disable();
  return { wallMs: performance.now() - began, cpuMs: (used.user + used.system) / 1000, turnMs: turns.max / 1e6 };
}

function row(name: string, looks: readonly Look[]): string {
  const of = (key: keyof Look): number => median(looks.map((each) => each[key]));
  const reached = of('cpuMs') <= goals.cpuMs && of('turnMs') <= goals.turnMs;
  return `| ${name} | ${of('wallMs').toFixed(0)} | ${of('cpuMs').toFixed(0)} | ${of('turnMs').toFixed(0)} | ${reached ? 'reached' : 'MISSED'} |`;
}

const database = await createTestDatabase();
try {
  const { db } = database;
  const now = Date.now();
  const cloud = await fillCloud(db, { hosts, instances, at: now });
  for (let ago = 0; ago < 7; ago++) {
    await insertInstanceSamples(db, cloud.instances.map(({ subjectId }, index) => ({ subjectId, at: now - ago * 10_000, cpuPercent: index < busy ? 99 : 10, memoryUsedMib: 100 })));
  }
  const [first] = defaultRules;
  if (first === undefined) throw new Error('there are shipped rules');
  for (const rule of defaultRules.filter(({ condition }) => condition !== 'cluster.n-minus-1')) await insertAlertRule(db, rule, now);
  await insertAlertRule(db, { ...first, id: randomUUID(), condition: 'instance.cpu', limit: 90, clear: 80, holdSeconds: 0 }, now);
  await insertAlertRule(db, { ...first, id: randomUUID(), condition: 'instance.disk-write', limit: 1e8, clear: 5e7, holdSeconds: 0 }, now);
  const looks = async (): Promise<Look[]> => {
    const all: Look[] = [];
    for (let round = 0; round < rounds; round++) all.push(await look(db, now + 1000 + round));
    return all;
  };
  const well = await looks();
  await db.execute('DELETE FROM instance_samples');
  await db.execute('UPDATE alert_rules SET hold_seconds = 0');
  const dark = await looks();
  process.stdout.write(`Median of ${rounds}, ${databaseEngine()}, ${hosts} hosts and ${instances} machines:\n\n`);
  process.stdout.write(`| one look at all rules | wall, ms | CPU of the portal, ms | longest turn, ms | CPU ≤ ${goals.cpuMs}, turn ≤ ${goals.turnMs} |\n|---|---|---|---|---|\n`);
  process.stdout.write(`${row(`${busy} machines busy, the rest well`, well)}\n${row('nothing measured of any machine', dark)}\n`);
} finally {
  await database.close();
}
