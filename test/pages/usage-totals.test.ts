// Usage of somebody whose script made and deleted thirty thousand machines: totals, the list and the file are true, and only a
// part of them is in memory at a time. On a real database.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createLog } from '../../src/log.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import type { User } from '../../src/model/user.ts';
import type { Db } from '../../src/store/db.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { machineLines } from '../../src/web/usage/csv.ts';
import { loadUsage, maxMachines } from '../../src/web/usage/load.ts';
import { usageRange } from '../../src/web/usage/range.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { assertShows } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

const count = 30_000;
const minute = 60_000;
const hour = 60 * minute;
const now = Date.UTC(2026, 10, 16, 12);
const month = Date.UTC(2026, 10, 1);
/** hours in November */
const monthHours = 720;
const errors: string[] = [];
let portal: TestPortal;
let [anna, admin]: Client[] = [];
let [annaUser, bobUser]: User[] = [];

before(async () => {
  portal = await startTestPortal({ runner: false, clock: { now: () => now }, log: createLog('error', { write: (line) => void errors.push(line) }) });
  const { db } = portal.deps;
  await makeFirstAdmin(db, 'root');
  annaUser = await makeUser(db, 'anna');
  bobUser = await makeUser(db, 'bob');
  // a vCPU for an hour costs one
  await updateSettings(db, 'prices', { ...defaultSettings.prices, perVcpu: monthHours, perMemoryGib: 0, perDiskGib: 0 }, null, month - hour);
  // a machine of a minute every half a minute; each hundredth has two vCPUs
  const rows = Array.from({ length: count }, (_, i) => {
    const openedAt = month + (i * minute) / 2;
    return [crypto.randomUUID(), openedAt, openedAt + minute, annaUser?.id ?? '', `vm${i}`, i % 100 === 0 ? 2 : 1, 1024, 10];
  });
  rows.push([crypto.randomUUID(), month, month + hour, bobUser.id, 'web', 1, 1024, 10]);
  for (let start = 0; start < rows.length; start += 500) {
    const some = rows.slice(start, start + 500);
    await db.execute(
      `INSERT INTO usage_periods (instance_id, opened_at, closed_at, user_id, instance_name, vcpus, memory_mib, disk_gib) VALUES ${some.map(() => '(?, ?, ?, ?, ?, ?, ?, ?)').join(', ')}`, some.flat(),
    );
  }
  [anna, admin] = [await loggedIn(portal, 'anna'), await loggedIn(portal, 'root')];
});
after(() => portal.close());

/** The database, and how many rows its largest answer had. */
function watched(): { readonly db: Db; largest(): number } {
  const { db } = portal.deps;
  let most = 0;
  return {
    db: {
      async query(sql, params) {
        const rows = await db.query<never>(sql, params);
        most = Math.max(most, rows.length);
        return rows;
      },
      execute: (sql, params) => db.execute(sql, params),
    },
    largest: () => most,
  };
}

it('the sums are of all of them, and the list is of the dearest', async () => {
  const range = usageRange({ by: 'day', month: '2026-11' }, now);
  const { db, largest } = watched();
  for (const usage of [await loadUsage(db, range, now, annaUser?.id), await loadUsage(db, range, now)]) {
    const own = usage.users.get(annaUser?.id ?? '') ?? new Map();
    assert.equal([...own.values()].reduce((sum, { instanceMs }) => sum + instanceMs, 0), count * minute);
    assert.equal([...own.values()].reduce((sum, { vcpuMs }) => sum + vcpuMs, 0), (count + 300) * minute);
  }
  const usage = await loadUsage(db, range, now, annaUser?.id);
  // 2880 machines a day, but for the half a minute that the last of a day has on the next one
  assert.deepEqual(usage.buckets.slice(0, 2).map(({ instanceMs }) => instanceMs), [2880 * minute - minute / 2, 2880 * minute]);
  assert.equal(usage.machineCount, count);
  assert.equal(usage.machines.length, maxMachines);
  assert.ok(usage.machines.every(({ period }) => period.vcpus === 2));
  assert.deepEqual(usage.amounts(usage.sum).map(({ amount }) => amount), [505]);
  assert.ok(largest() <= 2000, `${largest()} rows at a time`);
});

it('the page says that it lists a part of them', async () => {
  assertShows((await anna?.get('/account/usage'))?.text ?? '', /Total[\s\S]*?505[\s\S]*?The 200 dearest of 30,000 machines are shown; the totals above and the file are of all of them/);
  assertShows((await admin?.get('/admin/usage'))?.text ?? '', /anna[\s\S]*?505[\s\S]*?Total[\s\S]*?506/);
});

it('the file has all of them, and adds up', async () => {
  const answer = await anna?.get('/account/usage.csv');
  const lines = (answer?.text ?? '').replace('\uFEFF', '').trim().split('\r\n').slice(1).map((line) => line.split(','));
  assert.equal(new Set(lines.map(([, , id]) => id)).size, count);
  assert.ok(Math.abs(lines.reduce((sum, line) => sum + Number(line[7]), 0) - 505) < 0.05);
  const { db, largest } = watched();
  let written = 0;
  for await (const line of machineLines(db, usageRange({ by: 'month', year: '2026' }, now), now, annaUser?.id ?? '')) written += line.startsWith('2026-11,') ? 1 : 0;
  assert.equal(written, count);
  assert.ok(largest() <= 2000);
});

it('a file that is left half read is nobody’s failure, and the portal goes on', async () => {
  const stop = new AbortController();
  const cookie = [...(anna?.cookies ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  const answer = await fetch(`${portal.url}/account/usage.csv`, { headers: { cookie }, signal: stop.signal });
  assert.equal(answer.status, 200);
  await answer.body?.getReader().read();
  stop.abort();
  assert.equal((await anna?.get('/account/usage?by=month&year=2026'))?.status, 200);
  await delay(200);
  assert.deepEqual(errors, []);
});
