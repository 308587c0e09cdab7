// scripts/bench/vm-list prepares the build and the database. Here: a user with 1,000 running instances on a fake host that
// the portal polls, the portal as it runs in production (a process of its own from dist/), and wrk on both pages in turn.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ejs from 'ejs';
import express from 'express';
import { buildDomainXml } from '../../src/libvirt/domain-xml.ts';
import { openDatabase } from '../../src/store/db.ts';
import { insertHost } from '../../src/store/hosts.ts';
import { selectInstancesByUser } from '../../src/store/instances.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { formatFor } from '../../src/web/format.ts';
import { loadSparklines } from '../../src/web/charts/sparkline.ts';
import { translator } from '../../src/web/locales/index.ts';
import { loadRows, rowWords } from '../../src/web/monitor/rows.ts';
import { paths } from '../../src/web/paths.ts';
import { makeUser, testPassword } from '../../test/helpers/accounts.ts';
import { createTestDatabase } from '../../test/helpers/database.ts';
import { startFakeLibvirtd } from '../../test/helpers/fake-libvirtd/index.ts';
import { Client } from '../../test/helpers/portal.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const option = (name: string, standard: number): number => (process.argv.includes(name) ? Number(process.argv[process.argv.indexOf(name) + 1]) : standard);
const rounds = option('--rounds', 3);
const seconds = option('--seconds', 8);
const instances = 1000;
const connections = 4;
const pollIntervalMs = 10_000;

// wrk prints 50, 75, 90 and 99 %; its script says the rest
const script = `done = function(summary, latency, requests)
  io.write(string.format("\\nRESULT %f %f %f %d %d\\n", summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(95) / 1000, summary.errors.status, summary.requests))
end`;

if (process.argv[2] === 'bare') await serveBare();
else await main();

/** /: the same bytes by a route that does nothing else. /page: the same rows from the same tables through the same view, without the house around it. */
async function serveBare(): Promise<void> {
  const page = await readFile(process.argv[4] ?? '', 'utf8');
  const db = openDatabase([process.env['BENCH_DATABASE'] ?? '']);
  const views = `${root}views`;
  const t = translator('en');
  const fmt = formatFor('en', t);
  const [user] = await db.query<{ id: string }>("SELECT id FROM users WHERE name = 'bench'");
  const app = express();
  app.get('/', (_req, res) => void res.type('html').send(page));
  app.get('/page', async (_req, res) => {
    const now = Date.now();
    const found = await selectInstancesByUser(db, user?.id ?? '', { page: 1, pageSize: 50 });
    const [rows, sparklines] = await Promise.all([loadRows(db, found, now), loadSparklines(db, 'instance', found.map(({ subjectId }) => subjectId), now, pollIntervalMs)]);
    const html = await ejs.renderFile(`${views}/monitor/list.ejs`, {
      t, fmt, paths, now, title: t('monitor.title'), user: { role: 'user' }, csrfToken: 'x', total: instances, page: 1, pageSize: 50, search: '', state: undefined, states: [], chosen: new Set(), fields: [], all: false, base: '/?', pollIntervalMs, detailIntervalMs: 60_000,
      rows: rows.map((row) => ({ instance: row.instance, words: { ...rowWords(row, t, fmt), age: row.sample === null ? null : fmt.age(row.sample.at, now) }, size: { memory: fmt.mib(row.instance.memoryMib), disk: fmt.gib(row.instance.diskGib) }, spark: sparklines.get(row.instance.subjectId) ?? null, stale: false, owner: null })),
    }, { cache: true, root: views, views: [views] });
    res.type('html').send(html);
  });
  app.listen(Number(process.argv[3]), '127.0.0.1');
}

async function main(): Promise<void> {
  const database = await createTestDatabase();
  const fake = await startFakeLibvirtd({ keepRequests: false });
  const children: ChildProcess[] = [];
  try {
    await seed(database, fake);
    const port = await freePort();
    const started = await startPortal(database.url, port);
    children.push(started.child);
    const client = new Client(`http://127.0.0.1:${port}`);
    await client.get('/login');
    const answer = await client.post('/login', { name: 'bench', password: testPassword });
    if (answer.status !== 303) throw new Error(`login: ${answer.status}`);
    // two polls, so that there are rates
    await delay(2.2 * pollIntervalMs);
    const polledRssMib = await rssMib(started.child.pid);
    const page = await client.get('/instances');
    const rows = page.text.match(/data-live="instance:/g)?.length ?? 0;
    const measured = page.text.match(/KiB\/s/g)?.length ?? 0;
    if (rows !== 50 || measured < 50) throw new Error(`the page has ${rows} rows and ${measured} rates`);
    const bare = await startBare(page.text, database.url);
    children.push(bare.child);
    const cookie = [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const portalUrl = `http://127.0.0.1:${port}/instances`;
    await wrk(started.child, portalUrl, cookie, connections, 3);
    await wrk(bare.child, bare.url, cookie, connections, 2);
    const results = { idle: [] as Measured[], portal: [] as Measured[], bare: [] as Measured[], plain: [] as Measured[] };
    await wrk(bare.child, `${bare.url}page`, cookie, connections, 2);
    for (let round = 0; round < rounds; round++) {
      results.idle.push(await wrk(started.child, portalUrl, cookie, 1, seconds / 2));
      results.bare.push(await wrk(bare.child, bare.url, cookie, connections, seconds));
      results.plain.push(await wrk(bare.child, `${bare.url}page`, cookie, connections, seconds));
      results.portal.push(await wrk(started.child, portalUrl, cookie, connections, seconds));
    }
    report(page.text.length, results, started.servingMs, [started.idleRssMib, polledRssMib, await rssMib(started.child.pid)]);
  } finally {
    for (const child of children) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await fake.close();
    await database.close();
  }
}

async function seed(database: Awaited<ReturnType<typeof createTestDatabase>>, fake: Awaited<ReturnType<typeof startFakeLibvirtd>>): Promise<void> {
  const { db } = database;
  const user = await makeUser(db, 'bench');
  const hostId = randomUUID();
  const now = Date.now();
  await insertHost(db, { id: hostId, name: 'host1', uri: fake.uri, consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: now });
  for (let n = 0; n < instances; n++) {
    const id = randomUUID();
    const name = `vm-${String(n).padStart(4, '0')}`;
    const mac = `52:54:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`;
    fake.host.define(buildDomainXml({ uuid: id, name, virtType: 'qemu', arch: 'x86_64', vcpus: 1, memoryMib: 512, disks: [{ device: 'disk', path: `/disks/${id}`, format: 'qcow2', target: 'vda', bus: 'virtio' }], interface: { kind: 'network', network: 'default', mac }, instance: { id, owner: user.id } }));
    await fake.host.create(id, false);
    await db.execute(
      `INSERT INTO instances (id, user_id, name, state, state_at, host_id, image_id, vcpus, memory_mib, disk_gib, mac, address, console_port, subject_id, created_at)
       VALUES (?, ?, ?, 'running', ?, ?, ?, 1, 512, 10, ?, '192.0.2.9', 5900, ?, ?)`,
      [id, user.id, name, now, hostId, randomUUID(), mac, await insertSampleSubject(db, id, now), now],
    );
  }
}

async function startPortal(url: string, port: number): Promise<{ child: ChildProcess; servingMs: number; idleRssMib: number }> {
  const env = { ...process.env, DATABASE_URL: url, SESSION_SECRET: randomBytes(32).toString('hex'), PORT: String(port), LOG_LEVEL: 'warn', POLL_INTERVAL_MS: String(pollIntervalMs), NODE_ENV: 'production' };
  const startedAt = performance.now();
  const child = spawn(process.execPath, ['--max-semi-space-size=4', 'dist/main.js'], { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
  for (;;) {
    const answered = await fetch(`http://127.0.0.1:${port}/healthz`).then((response) => response.ok, () => false);
    if (answered) break;
    if (child.exitCode !== null) throw new Error('the portal ended');
    await delay(10);
  }
  const servingMs = performance.now() - startedAt;
  return { child, servingMs, idleRssMib: await rssMib(child.pid) };
}

async function startBare(page: string, databaseUrl: string): Promise<{ child: ChildProcess; url: string }> {
  const port = await freePort();
  const file = `${process.env['TMPDIR'] ?? '/tmp'}/bench-page-${randomUUID()}.html`;
  await writeFile(file, page);
  const child = spawn(process.execPath, ['--import', 'tsx', fileURLToPath(import.meta.url), 'bare', String(port), file], { cwd: root, env: { ...process.env, BENCH_DATABASE: databaseUrl, NODE_ENV: 'production' }, stdio: 'inherit' });
  const url = `http://127.0.0.1:${port}/`;
  while (!(await fetch(url).then((response) => response.ok, () => false))) await delay(20);
  await rm(file);
  return { child, url };
}

interface Measured { readonly requestsPerSecond: number; readonly p50Ms: number; readonly p95Ms: number; readonly cpuMs: number }

async function wrk(server: ChildProcess, url: string, cookie: string, parallel: number, duration: number): Promise<Measured> {
  const file = `${process.env['TMPDIR'] ?? '/tmp'}/bench-${randomUUID()}.lua`;
  await writeFile(file, script);
  const cpuBefore = await cpuMs(server.pid);
  const { stdout } = await run('wrk', ['-t1', `-c${parallel}`, `-d${Math.ceil(duration)}s`, '-s', file, '-H', `cookie: ${cookie}`, '-H', 'accept: text/html', url]);
  await rm(file);
  const usedMs = (await cpuMs(server.pid)) - cpuBefore;
  const [, requestsPerSecond, p50Ms, p95Ms, failed, requests] = /RESULT (\S+) (\S+) (\S+) (\d+) (\d+)/.exec(stdout) ?? [];
  if (failed !== '0') throw new Error(`wrk: ${failed} answers were no pages\n${stdout}`);
  return { requestsPerSecond: Number(requestsPerSecond), p50Ms: Number(p50Ms), p95Ms: Number(p95Ms), cpuMs: usedMs / Number(requests) };
}

function report(bytes: number, results: Record<'idle' | 'portal' | 'bare' | 'plain', Measured[]>, servingMs: number, [startedMib = 0, polledMib = 0, loadedMib = 0]: readonly number[]): void {
  const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
  const of = (list: readonly Measured[], key: keyof Measured): number => median(list.map((one) => one[key]));
  const share = of(results.portal, 'requestsPerSecond') / of(results.bare, 'requestsPerSecond');
  const slowdown = of(results.portal, 'p95Ms') / of(results.idle, 'p50Ms');
  const line = (...cells: (string | number)[]): void => console.log(`| ${cells.join(' | ')} |`);
  console.log(`\nVM Monitor, 50 of ${instances} running instances, ${Math.round(bytes / 1024)} KiB of HTML, ${rounds} rounds of ${seconds} s, medians\n`);
  line('page', 'connections', 'requests/s', 'p50 ms', 'p95 ms', 'CPU ms a request');
  line('---', '---', '---', '---', '---', '---');
  for (const [name, list, parallel] of [['portal, idle', results.idle, 1], ['portal, loaded', results.portal, connections], ['bare Express, same bytes', results.bare, connections], ['bare Express, same SQL and view', results.plain, connections]] as const) {
    line(name, parallel, of(list, 'requestsPerSecond').toFixed(0), of(list, 'p50Ms').toFixed(2), of(list, 'p95Ms').toFixed(2), of(list, 'cpuMs').toFixed(2));
  }
  console.log('');
  line('what', 'measured', 'goal', '');
  line('---', '---', '---', '---');
  const ofPlain = of(results.portal, 'requestsPerSecond') / of(results.plain, 'requestsPerSecond');
  line('throughput of a bare route with the same SQL and view', ofPlain.toFixed(3), '≥ 0.25', ofPlain >= 0.25 ? 'reached' : 'missed');
  line('throughput of a bare route that only sends the same bytes', share.toFixed(3), '≥ 0.25', share >= 0.25 ? 'reached' : 'missed');
  line('p95 loaded / p50 idle', slowdown.toFixed(2), '< 5', slowdown < 5 ? 'reached' : 'missed');
  line('serving after start', `${servingMs.toFixed(0)} ms`, '< 1,500 ms', servingMs < 1500 ? 'reached' : 'missed');
  line('RSS just started', `${startedMib.toFixed(0)} MiB`, '', '');
  line(`RSS polling ${instances} running instances`, `${polledMib.toFixed(0)} MiB`, '< 150 MiB', polledMib < 150 ? 'reached' : 'missed');
  line('RSS right after the load', `${loadedMib.toFixed(0)} MiB`, '', '');
}

async function rssMib(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

/** User and system time of a process so far; ticks are 10 ms. */
async function cpuMs(pid: number | undefined): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
