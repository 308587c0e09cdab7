// scripts/bench/metrics prepares the database server. Here: a large cloud as rows with its last samples and a usage period for
// each instance, a portal without jobs in a process of its own, and its figures and reports read by turns.
import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { clusterOwnerId } from '../../src/model/metric.ts';
import type { Db } from '../../src/store/db.ts';
import { insertHostSamples, insertInstanceSamples } from '../../src/store/samples.ts';
import { makeFirstAdmin, makeUser, testPassword } from '../../test/helpers/accounts.ts';
import { createTestDatabase } from '../../test/helpers/database.ts';
import { Client } from '../../test/helpers/portal.ts';
import { median } from './fleet.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const option = (name: string, standard: number): number => (process.argv.includes(name) ? Number(process.argv[process.argv.indexOf(name) + 1]) : standard);
const rounds = option('--rounds', 5);
const size = { instances: option('--instances', 20_000), hosts: option('--hosts', 1250) };
const goals = { figuresMs: 5000, cpuMs: 3000, turnMs: 50, besideMs: 250 };
const token = randomBytes(32).toString('hex');
const dayMs = 86_400_000;

const database = await createTestDatabase();
await seed(database.db);
const env = { ...process.env, DATABASE_URL: database.url, SESSION_SECRET: randomBytes(32).toString('hex'), METRICS_TOKEN: token, NODE_ENV: 'production' };
const child = spawn(process.execPath, ['--import', 'tsx', `${root}/scripts/bench/pages-large-server.ts`], { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
try {
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  await measure(`http://127.0.0.1:${port.toString().trim()}`);
} finally {
  child.kill('SIGTERM');
  await once(child, 'exit');
  await database.close();
}

async function insertRows(db: Db, table: string, columns: readonly string[], rows: readonly (readonly (string | number | null)[])[]): Promise<void> {
  for (let start = 0; start < rows.length; start += 500) {
    const batch = rows.slice(start, start + 500);
    await db.execute(`INSERT INTO ${table} (${columns.join(', ')}) VALUES ${batch.map((row) => `(${row.map(() => '?').join(', ')})`).join(', ')}`, batch.flat());
  }
}

async function seed(db: Db & Parameters<typeof makeUser>[0]): Promise<void> {
  const now = Date.now();
  await makeFirstAdmin(db);
  const users = await Promise.all(Array.from({ length: 300 }, (_, n) => makeUser(db, `user${n}`)));
  const hostIds = Array.from({ length: size.hosts }, () => randomUUID());
  const instanceIds = Array.from({ length: size.instances }, () => randomUUID());
  const poolId = randomUUID();
  await insertRows(db, 'sample_subjects', ['owner_id', 'created_at'], [clusterOwnerId, poolId, ...hostIds, ...instanceIds].map((id) => [id, now]));
  const subjects = new Map((await db.query<{ id: number; owner_id: string }>('SELECT id, owner_id FROM sample_subjects')).map((row) => [row.owner_id, row.id]));
  const subjectOf = (id: string): number => subjects.get(id) ?? 0;
  await insertRows(db, 'hosts', ['id', 'name', 'uri', 'wish', 'state', 'console_address', 'network', 'virt_type_wish', 'virt_type', 'cpus', 'memory_mib', 'subject_id', 'created_at'],
    hostIds.map((id, n) => [id, `host-${n}`, `qemu+tls://host-${n}.invalid/system`, 'enabled', 'up', '192.0.2.1', 'default', 'auto', 'kvm', 32, 262_144, subjectOf(id), now]));
  await insertRows(db, 'storage_pools', ['id', 'name', 'shared', 'kind', 'path', 'subject_id', 'created_at'], [[poolId, 'default', 1, 'netfs', '/pool', subjectOf(poolId), now]]);
  const ownerOf = (n: number): string => users[n % users.length]?.id ?? '';
  const createdAt = (n: number): number => now - Math.floor((n / size.instances) * 80 * dayMs);
  await insertRows(db, 'instances', ['id', 'user_id', 'name', 'state', 'state_at', 'host_id', 'pool_id', 'image_id', 'vcpus', 'memory_mib', 'disk_gib', 'mac', 'subject_id', 'created_at'],
    instanceIds.map((id, n) => [id, ownerOf(n), `vm-${n}`, 'running', now, hostIds[n % size.hosts] ?? '', poolId, randomUUID(), 2, 512, 10, id.slice(0, 17), subjectOf(id), createdAt(n)]));
  await insertRows(db, 'usage_periods', ['instance_id', 'opened_at', 'user_id', 'instance_name', 'vcpus', 'memory_mib', 'disk_gib'],
    instanceIds.map((id, n) => [id, createdAt(n), ownerOf(n), `vm-${n}`, 2, 512, 10]));
  await db.execute('UPDATE migrations SET applied_at = 0');
  // a running portal has newer ones: these stay the newest for as long as this takes
  for (const at of [now + 600_000]) {
    await insertHostSamples(db, [clusterOwnerId, ...hostIds].map((id) => ({ subjectId: subjectOf(id), at, up: 1, cpuPercent: 40.5, memoryUsedMib: 100_000, memoryTotalMib: 262_144 })));
  }
}

/** The samples of this moment, as a tick writes them. */
async function tick(db: Db): Promise<void> {
  const at = Date.now();
  const subjects = await db.query<{ subject_id: number }>('SELECT subject_id FROM instances');
  await insertInstanceSamples(db, subjects.map(({ subject_id: subjectId }) => ({
    subjectId, at, detailAt: at, cpuPercent: subjectId % 100, memoryUsedMib: 300, memoryAvailableMib: 200, diskReadBytesPerSecond: 4096.5, diskWriteBytesPerSecond: 8192.25, diskReadOpsPerSecond: 1.5,
    diskWriteOpsPerSecond: 2, diskAllocationMib: 900, networkReceiveBytesPerSecond: 1000, networkTransmitBytesPerSecond: 1000, networkReceivePacketsPerSecond: 3, networkTransmitPacketsPerSecond: 3, networkDropsPerSecond: 0,
  })));
}

async function measure(url: string): Promise<void> {
  const admin = new Client(url);
  await admin.get('/login');
  await admin.post('/login', { name: 'admin', password: testPassword });
  const read = async (path: string): Promise<{ ms: number; text: string }> => {
    const begun = performance.now();
    const answer = await fetch(new URL(path, url), { headers: { authorization: `Bearer ${token}` } });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
    return { ms: performance.now() - begun, text };
  };
  /** of the portal since the last look: its longest turn, and its CPU time in all */
  const look = async (): Promise<{ turnMs: number; cpuMs: number }> => {
    const { text } = await read('/metrics?only=portal');
    const figure = (name: string): number => 1000 * Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    return { turnMs: figure('nodejs_eventloop_lag_max_seconds'), cpuMs: figure('process_cpu_seconds_total') };
  };
  const rows: string[] = [];
  const judge = (what: string, value: number, goal: number, unit: string): void => {
    rows.push(`| ${what} | ${value.toFixed(0)} ${unit} | ≤ ${goal} ${unit} | ${value <= goal ? 'reached' : 'MISSED'} |`);
    if (value > goal) process.exitCode = 1;
  };
  const [times, turns, beside, alone, idle]: number[][] = [[], [], [], [], []];
  let bytes = 0;
  let series = 0;
  for (let round = -1; round < rounds; round++) {
    await tick(database.db);
    const before = await look();
    await read('/metrics?only=cloud');
    const cpuMs = (await look()).cpuMs - before.cpuMs;
    const reading = read('/metrics?only=cloud');
    let done = false;
    const slowest = (async () => {
      let most = 0;
      while (!done) {
        const begun = performance.now();
        await admin.get('/about');
        most = Math.max(most, performance.now() - begun);
      }
      return most;
    })();
    const { ms, text } = await reading;
    done = true;
    const most = await slowest;
    const { turnMs } = await look();
    // what the machine's other work does to a portal that nobody asks anything
    await delay(ms);
    const idleTurn = (await look()).turnMs;
    bytes = Buffer.byteLength(text);
    series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
    if (round >= 0) [times, turns, beside, alone, idle].forEach((list, i) => list?.push([ms, turnMs, most, cpuMs, idleTurn][i] ?? 0));
  }
  console.log(`\n/metrics of ${size.instances} instances on ${size.hosts} hosts: ${series} series, ${(bytes / 1e6).toFixed(1)} MB; medians of ${rounds}\n\n| what | measured | goal | |\n|---|---|---|---|`);
  judge('time to read it', median(times ?? []), goals.figuresMs, 'ms');
  judge('CPU of the portal for it', median(alone ?? []), goals.cpuMs, 'ms');
  judge('longest turn of the event loop meanwhile', median(turns ?? []), goals.turnMs, 'ms');
  rows.push(`| longest turn in as much time with nobody asking | ${median(idle ?? []).toFixed(0)} ms | – | |`);
  judge('slowest other page meanwhile', median(beside ?? []), goals.besideMs, 'ms');
  for (const [what, path] of [['usage of all users, a month by day', '/admin/usage'], ['usage of all users, a year by month', '/admin/usage?by=month'], ['forecast', '/admin/forecast']] as const) {
    const each: number[] = [];
    for (let round = -1; round < rounds; round++) {
      const begun = performance.now();
      const { status } = await admin.get(path);
      if (status !== 200) throw new Error(`${path}: ${status}`);
      if (round >= 0) each.push(performance.now() - begun);
    }
    judge(what, median(each), 1500, 'ms');
  }
  console.log(rows.join('\n'));
}
