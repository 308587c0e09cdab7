// scripts/bench/pages-large prepares the build and the database server. Here: a small and a large cloud as rows, two hours of
// samples at 10 s for the hosts and the first instances and the last minutes for all others, and the pages of each by turns.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { clusterOwnerId } from '../../src/model/metric.ts';
import { topHosts, topInstances } from '../../src/model/top-list.ts';
import type { Db } from '../../src/store/db.ts';
import { insertHostSamples, insertInstanceSamples, insertPoolSamples } from '../../src/store/samples.ts';
import { upsertSnapshot } from '../../src/store/snapshots.ts';
import { makeFirstAdmin, makeUser, testPassword } from '../../test/helpers/accounts.ts';
import { createTestDatabase, type TestDatabase } from '../../test/helpers/database.ts';
import { Client } from '../../test/helpers/portal.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const option = (name: string, standard: number): number => (process.argv.includes(name) ? Number(process.argv[process.argv.indexOf(name) + 1]) : standard);
const rounds = option('--rounds', 60);
const large = { instances: option('--instances', 20_000), hosts: option('--hosts', 1250) };
const small = { instances: 200, hosts: 12 };
/** machines of the owner whose pages are asked for: two pages of the list, in both clouds */
const ownMachines = 60;
const slotMs = 10_000;
/** Windows that are open at once, of each of two people; a person may have twelve. */
const windows = 10;
const watchedMs = 12_000;
const gib = 1024 ** 3;

const pages: readonly (readonly [name: string, who: 'owner' | 'admin', path: string])[] = [
  ['VM Monitor', 'owner', '/instances'],
  ['VM Monitor, everybody’s', 'admin', '/instances?all=1'],
  ['VM Monitor, everybody’s, searched', 'admin', '/instances?all=1&search=vm-00001'],
  ['Resource Monitor', 'owner', '/resources'],
  ['Resource Monitor', 'admin', '/resources'],
  ['Hosts', 'admin', '/admin/hosts'],
  ['Charts of the cluster', 'owner', '/resources/charts'],
  ['Top page', 'owner', '/'],
];

interface Cloud { readonly database: TestDatabase; readonly child: ChildProcess; readonly url: string; readonly clients: { readonly owner: Client; readonly admin: Client }; readonly size: typeof small }

const clouds: Cloud[] = [];
try {
  for (const size of [small, large]) clouds.push(await startCloud(size));
  await measure();
} finally {
  for (const { child, database } of clouds) {
    child.kill('SIGTERM');
    await once(child, 'exit');
    await database.close();
  }
}

async function startCloud(size: typeof small): Promise<Cloud> {
  const database = await createTestDatabase();
  const seeded = performance.now();
  await seed(database, size);
  console.error(`${size.instances} instances on ${size.hosts} hosts: rows made in ${Math.round((performance.now() - seeded) / 1000)} s`);
  const env = { ...process.env, DATABASE_URL: database.url, SESSION_SECRET: randomBytes(32).toString('hex'), NODE_ENV: 'production' };
  const child = spawn(process.execPath, ['--import', 'tsx', `${root}/scripts/bench/pages-large-server.ts`], { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = await once(child.stdout, 'data') as [Buffer];
  const url = `http://127.0.0.1:${port.toString().trim()}`;
  const logIn = async (name: string): Promise<Client> => {
    const client = new Client(url);
    await client.get('/login');
    const { status } = await client.post('/login', { name, password: testPassword });
    if (status !== 303) throw new Error(`login: ${status}`);
    return client;
  };
  return { database, child, url, size, clients: { owner: await logIn('owner'), admin: await logIn('admin') } };
}

async function insertRows(db: Db, table: string, columns: readonly string[], rows: readonly (readonly (string | number | null)[])[]): Promise<void> {
  for (let start = 0; start < rows.length; start += 500) {
    const batch = rows.slice(start, start + 500);
    await db.execute(`INSERT INTO ${table} (${columns.join(', ')}) VALUES ${batch.map((row) => `(${row.map(() => '?').join(', ')})`).join(', ')}`, batch.flat());
  }
}

async function seed({ db }: TestDatabase, { instances, hosts }: typeof small): Promise<void> {
  const now = Date.now();
  await makeFirstAdmin(db);
  const owner = await makeUser(db, 'owner');
  const others = await Promise.all(Array.from({ length: 10 }, (_, n) => makeUser(db, `user${n}`)));
  const hostIds = Array.from({ length: hosts }, () => randomUUID());
  const instanceIds = Array.from({ length: instances }, () => randomUUID());
  const poolId = randomUUID();
  await insertRows(db, 'sample_subjects', ['owner_id', 'created_at'], [clusterOwnerId, poolId, ...hostIds, ...instanceIds].map((id) => [id, now]));
  const subjects = new Map((await db.query<{ id: number; owner_id: string }>('SELECT id, owner_id FROM sample_subjects')).map((row) => [row.owner_id, row.id]));
  const subjectOf = (id: string | undefined): number => subjects.get(id ?? '') ?? 0;
  const perHost = Math.ceil(instances / hosts);
  await insertRows(db, 'hosts', ['id', 'name', 'uri', 'wish', 'state', 'seen_at', 'console_address', 'network', 'virt_type_wish', 'virt_type', 'arch', 'cpu_model', 'libvirt_version', 'qemu_version', 'host_uuid', 'cpus', 'memory_mib', 'used_vcpus', 'used_memory_mib', 'subject_id', 'created_at'],
    hostIds.map((id, n) => [id, `host-${String(n).padStart(4, '0')}`, `qemu+tls://host-${n}.invalid/system`, 'enabled', 'up', now, '192.0.2.1', 'default', 'auto', 'kvm', 'x86_64', 'EPYC', '9.0.0', '7.2.0', randomUUID(), 32, 262_144, perHost, perHost * 512, subjectOf(id), now]));
  await insertRows(db, 'storage_pools', ['id', 'name', 'shared', 'kind', 'path', 'capacity_bytes', 'available_bytes', 'sampled_at', 'subject_id', 'created_at'], [[poolId, 'default', 1, 'netfs', '/pool', 800 * gib, 600 * gib, now, subjectOf(poolId), now]]);
  await insertRows(db, 'host_pools', ['host_id', 'pool_id'], hostIds.map((id) => [id, poolId]));
  const imageId = randomUUID();
  await insertRows(db, 'instances', ['id', 'user_id', 'name', 'state', 'state_at', 'host_id', 'pool_id', 'image_id', 'vcpus', 'memory_mib', 'disk_gib', 'mac', 'address', 'console_port', 'subject_id', 'created_at'],
    instanceIds.map((id, n) => [id, n < ownMachines ? owner.id : (others[n % others.length]?.id ?? owner.id), `vm-${String(n).padStart(6, '0')}`, n % 20 === 19 ? 'stopped' : 'running', now, hostIds[n % hosts] ?? '', poolId, imageId, 1, 512, 10, macOf(n), '192.0.2.9', 5900, subjectOf(id), now - n * 1000]));
  await seedSamples(db, now, [subjectOf(clusterOwnerId), ...hostIds.map(subjectOf)], instanceIds.map(subjectOf), subjectOf(clusterOwnerId));
  const entries = (ids: readonly string[]) => ids.slice(0, 10).map((id, n) => ({ id, value: 90 - n, at: now }));
  for (const [name, ids] of [[topInstances, instanceIds], [topHosts, hostIds]] as const) {
    await upsertSnapshot(db, name, { cpu: entries(ids), memory: entries(ids), disk: entries(ids), network: entries(ids) }, now);
  }
  await db.query('ANALYZE TABLE instances, hosts, host_samples, instance_samples');
}

/** Hosts and the instances that pages show (the owner's, and the newest) have the last hour; all others the last five minutes. */
async function seedSamples(db: Db, now: number, hosts: readonly number[], instances: readonly number[], cluster: number): Promise<void> {
  for (let back = 360; back >= 0; back--) {
    const at = now - back * slotMs;
    const shown = back > 30 ? instances.slice(0, 100) : back % 6 === 0 || back < 4 ? instances : instances.slice(0, 100);
    await insertHostSamples(db, (back > 200 ? hosts.slice(0, 60) : hosts).map((subjectId) => ({ subjectId, at, up: 1, cpuPercent: 40, cpuUserPercent: 25, cpuSystemPercent: 12, cpuIowaitPercent: 3, memoryUsedMib: 100_000, memoryTotalMib: 262_144, memoryCachedMib: 9000 })));
    await insertInstanceSamples(db, shown.map((subjectId) => ({
      subjectId, at, detailAt: at, cpuPercent: subjectId % 100, memoryUsedMib: 300, memoryAvailableMib: 200, diskReadBytesPerSecond: 4096, diskWriteBytesPerSecond: 8192, networkReceiveBytesPerSecond: 1000, networkTransmitBytesPerSecond: 1000,
    })));
    await insertPoolSamples(db, [{ subjectId: cluster, at, capacityBytes: 800 * gib, availableBytes: 600 * gib }]);
  }
}

function macOf(n: number): string {
  return `52:54:${[24, 16, 8, 0].map((bits) => ((n >> bits) & 255).toString(16).padStart(2, '0')).join(':')}`;
}

async function measure(): Promise<void> {
  const [few, many] = clouds;
  if (few === undefined || many === undefined) throw new Error('two clouds');
  console.log(`\nPages at ${many.size.instances} instances on ${many.size.hosts} hosts beside ${few.size.instances} on ${few.size.hosts}; ${rounds} of each by turns, medians\n`);
  console.log('| page | as | small ms | large ms | ratio | goal | |\n|---|---|---|---|---|---|---|');
  let missed = 0;
  for (const [name, who, path] of pages) {
    const times: [number[], number[]] = [[], []];
    for (let round = -5; round < rounds; round++) {
      for (const [index, cloud] of [few, many].entries()) {
        const begun = performance.now();
        const { status } = await cloud.clients[who].get(path);
        const elapsed = performance.now() - begun;
        if (status !== 200) throw new Error(`${path}: ${status}`);
        if (round >= 0) times[index as 0 | 1].push(elapsed);
      }
    }
    const [smallMs, largeMs] = times.map(median) as [number, number];
    const reached = largeMs <= 2 * smallMs;
    if (!reached) missed++;
    console.log(`| ${name} | ${who} | ${smallMs.toFixed(1)} | ${largeMs.toFixed(1)} | ${(largeMs / smallMs).toFixed(2)} | ≤ 2 | ${reached ? 'reached' : 'MISSED'} |`);
  }
  missed += await measureStreams([few, many]);
  if (missed > 0) process.exitCode = 1;
}

/** The event stream with 20 windows open, each on a page of the list or on the Resource Monitor: until a new window has its figures, and what the hub takes. */
async function measureStreams(both: readonly Cloud[]): Promise<number> {
  const found: { readonly firstMs: number; readonly cpuMs: number }[] = [];
  for (const cloud of both) {
    const paths = await Promise.all([cloud.clients.owner.get('/instances'), cloud.clients.admin.get('/resources')].map(async (page) => streamPath((await page).text)));
    const open = await Promise.all([cloud.clients.owner, cloud.clients.admin].flatMap((client, index) => Array.from({ length: windows }, () => openStream(client, paths[index] ?? ''))));
    await Promise.all(open.map(({ firstPatch }) => firstPatch));
    const before = await cpuMsOf(cloud.child.pid);
    await delay(watchedMs);
    const cpuMs = ((await cpuMsOf(cloud.child.pid)) - before) / (watchedMs / 1000);
    const times: number[] = [];
    for (let round = 0; round < 10; round++) {
      const begun = performance.now();
      const stream = await openStream(cloud.clients.admin, paths[1] ?? '');
      await stream.firstPatch;
      times.push(performance.now() - begun);
      stream.close();
    }
    for (const stream of open) stream.close();
    found.push({ firstMs: median(times), cpuMs });
  }
  const [few, many] = found;
  if (few === undefined || many === undefined) return 1;
  const verdict = (small: number, large: number): string => `${small.toFixed(1)} | ${large.toFixed(1)} | ${(large / small).toFixed(2)} | ≤ 2 | ${large <= 2 * small ? 'reached' : 'MISSED'}`;
  console.log(`| Event stream: first figures of a new window, ${2 * windows} others open | admin | ${verdict(few.firstMs, many.firstMs)} |`);
  console.log(`| Event stream: CPU a second for ${2 * windows} windows, ms | both | ${verdict(few.cpuMs, many.cpuMs)} |`);
  return [many.firstMs > 2 * few.firstMs, many.cpuMs > 2 * few.cpuMs].filter(Boolean).length;
}

/** What a page's script asks for. */
function streamPath(html: string): string {
  const ids = (kind: string): string => [...new Set([...html.matchAll(new RegExp(`data-live="${kind}:([0-9a-f-]{36})"`, 'g'))].map((match) => match[1]))].join(',');
  return `/events?cluster=1&instances=${ids('instance')}&hosts=${ids('host')}`;
}

async function openStream(client: Client, path: string): Promise<{ readonly firstPatch: Promise<void>; close(): void }> {
  const stop = new AbortController();
  const response = await client.request(path, { headers: { accept: 'text/event-stream' }, signal: stop.signal });
  if (response.body === null || response.status !== 200) throw new Error(`${path.slice(0, 60)}: ${response.status}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let seen!: () => void;
  const firstPatch = new Promise<void>((resolve) => { seen = resolve; });
  void (async () => {
    for (let text = ''; ;) {
      const { value, done } = await reader.read();
      if (done) return;
      text = (text + value).slice(-1_000_000);
      if (text.includes('event: patch') && text.endsWith('\n\n')) seen();
    }
  })().catch(() => undefined);
  return { firstPatch, close: () => stop.abort() };
}

/** User and system time of a process so far; ticks are 10 ms. */
async function cpuMsOf(pid: number | undefined): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
