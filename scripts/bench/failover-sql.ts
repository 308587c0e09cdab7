// Measures what people see of the death of a cluster's node; scripts/bench/failover-sql starts what this needs.
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { createApiToken } from '../../src/store/api-tokens.ts';
import { openDatabase } from '../../src/store/db.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { logIn, makeFirstAdmin } from '../../test/helpers/accounts.ts';
import { createCloud, wrongSums } from '../../test/helpers/cloud.ts';
import { Client } from '../../test/helpers/portal.ts';
import { createPortalProcess } from '../../test/helpers/portal-process.ts';
import { median, verdict } from './portal-api.ts';

const script = fileURLToPath(new URL('../ndb', import.meta.url));
const ndb = (...words: string[]): Promise<unknown> => promisify(execFile)(script, [words[0] ?? '', process.env['BENCH_NDB'] ?? '', ...words.slice(1)]);
const pages = ['/', '/instances', '/resources', '/admin', '/admin/hosts', '/admin/operations'];
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '15' } } });

const cloud = await createCloud({ fakes: [{ keepRequests: false }] });
const [, second = ''] = (process.env['BENCH_URLS'] ?? '').split(',');
const other = new URL(second);
other.pathname = new URL(cloud.url).pathname;
// the bench's own look at the database must not die with the first SQL node
const db = openDatabase([other.href, cloud.url]);
const portal = await createPortalProcess({ name: 'bench', databaseUrl: `${cloud.url},${other.href}` });
try {
  const { id: userId } = await makeFirstAdmin(db, 'bench');
  await db.execute('UPDATE users SET quota_instances = 10000, quota_vcpus = 10000, quota_memory_mib = 10000000, quota_disk_gib = 1000000 WHERE id = ?', [userId]);
  // one host for all that is created in a minute
  await updateSettings(db, 'overcommit', { vcpus: 64, memory: 64, disk: 64 }, null, Date.now());
  const { secret } = await createApiToken(db, { userId, name: 'bench', scope: 'write', expiresAt: Date.now() + 3_600_000 }, Date.now());
  await portal.start();
  const browser = new Client(portal.url);
  await logIn(browser, 'bench');
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const promised: string[] = [];
  const failures: string[] = [];

  process.stdout.write('\n| a node | pages | failed | median ms | longest s | created | refused |\n|---|---|---|---|---|---|---|\n');
  for (const [what, node] of [['kill', 'sql1'], ['freeze', 'sql1'], ['kill', 'data1'], ['freeze', 'data2']] as const) {
    const times: number[] = [];
    let [failed, refused, created] = [0, 0, 0];
    const end = Date.now() + 1000 * Number(values.seconds);
    const reader = async (offset: number): Promise<void> => {
      for (let n = offset; Date.now() < end; n++) {
        const began = performance.now();
        const status = await fetch(`${portal.url}${pages[n % pages.length]}`, { headers: { cookie, accept: 'text/html' }, redirect: 'manual', signal: AbortSignal.timeout(60_000) })
          .then(async (response) => (await response.text(), response.status), () => 0);
        times.push(performance.now() - began);
        if (status !== 200) failed++;
        await delay(20);
      }
    };
    const creator = async (): Promise<void> => {
      for (let n = 0; Date.now() < end; n++) {
        const name = `${what}-${node}-${n}`;
        const response = await fetch(`${portal.url}/api/v1/instances`, {
          method: 'POST', headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
          body: JSON.stringify({ name, imageId: cloud.image.id, vcpus: 1, memoryMib: 64, diskGib: 1 }),
        });
        if (response.status === 202) promised.push(name);
        else failures.push(`${response.status} ${await response.text()}`);
        if (response.status === 202) created++;
        else refused++;
        await delay(300);
      }
    };
    const trouble = async (): Promise<void> => {
      await delay(2000);
      await ndb(what, node);
    };
    await Promise.all([trouble(), creator(), ...[0, 1, 2, 3].map(reader)]);
    process.stdout.write(`| ${node} ${what === 'kill' ? 'killed' : 'hangs'} | ${times.length} | ${failed} | ${median(times).toFixed(0)} | ${(Math.max(...times) / 1000).toFixed(1)} | ${created} | ${refused} |\n`);
    if (failed > 0 || refused > 0) process.exitCode = 1;
    if (what === 'freeze') await ndb('thaw', node).catch(() => undefined);
    await delay(1000);
    await ndb('start', node);
  }

  const rows = await db.query<{ name: string }>("SELECT name FROM instances WHERE user_id = ?", [userId]);
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await delay(300)) {
    const [open] = await db.query<{ n: number }>('SELECT COUNT(*) AS n FROM operations WHERE ended_at IS NULL');
    if (Number(open?.n) === 0) break;
  }
  const there = new Set(rows.map(({ name }) => name));
  const right = rows.length === there.size && promised.every((name) => there.has(name)) && rows.length === promised.length;
  const sums = await wrongSums(db);
  process.stdout.write(`\n- ${promised.length} instances promised, ${rows.length} there, none twice: ${verdict(right)}\n- usage equals what exists: ${verdict(sums.length === 0)} ${sums.join('; ')}\n- failed pages (goal 0): ${verdict(process.exitCode !== 1)}\n`);
  for (const failure of failures.slice(0, 5)) process.stdout.write(`  ${failure}\n`);
  if (!right || sums.length > 0) process.exitCode = 1;
} finally {
  await portal.kill();
  await db.close();
  await cloud.close();
}
