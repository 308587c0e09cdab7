// Usage and cost: a user's own page, the admins' pages, files and API, over HTTP on a real database.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { defaultSettings } from '../../src/model/settings.ts';
import type { User } from '../../src/model/user.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { closeUsagePeriod, openUsagePeriod } from '../../src/store/usage-periods.ts';
import { updateLanguage } from '../../src/store/users.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { assertHides, assertShows } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

const day = 86_400_000;
/** the middle of a day in the middle of a month of 30 days */
const now = Date.UTC(2026, 10, 16, 12);
const prices = { currency: 'NT$', perVcpu: 300, perMemoryGib: 30, perDiskGib: 3 };
let portal: TestPortal;
let [anna, bob, admin]: Client[] = [];
let [annaUser, bobUser]: User[] = [];
const webId = crypto.randomUUID();

before(async () => {
  const clock = { now: () => now };
  portal = await startTestPortal({ runner: false, clock });
  const { db } = portal.deps;
  await makeFirstAdmin(db, 'root');
  annaUser = await makeUser(db, 'anna');
  bobUser = await makeUser(db, 'bob');
  await updateSettings(db, 'prices', { ...defaultSettings.prices, ...prices }, null, Date.UTC(2026, 9, 1));
  await updateSettings(db, 'prices', { ...prices, perVcpu: 600 }, null, Date.UTC(2026, 10, 11));
  const period = (user: User, instanceId: string, instanceName: string, openedAt: number) =>
    openUsagePeriod(db, { instanceId, instanceName, userId: user.id, vcpus: 1, memoryMib: 1024, diskGib: 10, openedAt });
  await period(annaUser, webId, 'web', Date.UTC(2026, 10, 1));
  const gone = crypto.randomUUID();
  await period(annaUser, gone, 'gone', Date.UTC(2026, 9, 1));
  await closeUsagePeriod(db, { id: gone, createdAt: Date.UTC(2026, 9, 1) }, Date.UTC(2026, 10, 1));
  await period(bobUser, crypto.randomUUID(), 'db', now - day);
  [anna, bob, admin] = [await loggedIn(portal, 'anna'), await loggedIn(portal, 'bob'), await loggedIn(portal, 'root')];
});
after(() => portal.close());

const page = async (client: Client | undefined, path: string): Promise<string> => {
  const answer = await client?.get(path);
  assert.equal(answer?.status, 200);
  return answer?.text ?? '';
};

describe('one’s own usage', () => {
  it('is told day by day with what each day cost at its prices', async () => {
    const text = await page(anna, '/account/usage');
    // 10 days at (300 + 30 + 30) / 30 a day, then 5½ at (600 + 30 + 30) / 30
    assertShows(text, /2026-11-10[\s\S]*?>24<[\s\S]*?NT\$12/);
    assertShows(text, /2026-11-11[\s\S]*?NT\$22/);
    assertShows(text, /2026-11-16[\s\S]*?until now[\s\S]*?>12<[\s\S]*?NT\$11/);
    assertShows(text, /Total[\s\S]*?372[\s\S]*?NT\$241/);
    assertHides(text, /2026-11-17/);
    assertShows(text, /Price lists in force[\s\S]*?NT\$300[\s\S]*?NT\$600/);
    assert.ok(text.includes(`/instances/${webId}`));
  });

  it('is told month by month; a whole month costs what the list says', async () => {
    const text = await page(anna, '/account/usage?by=month&year=2026');
    assertShows(text, /2026-10[\s\S]*?744[\s\S]*?NT\$360/);
    assertShows(text, /2026-11[\s\S]*?NT\$241/);
    assertShows(text, /Total[\s\S]*?NT\$601/);
  });

  it('begins with what can be told, whatever the URL says', async () => {
    for (const query of ['by=x', 'month=2026-13', 'month[]=1', 'by=month&year=9999', 'year=0001&by=month', 'month=1999-01', 'month=2099-01', 'page=-1']) await page(anna, `/account/usage?${query}`);
    assertShows(await page(anna, '/account/usage?month=2099-01'), /2026-11-01/);
    assertShows(await page(anna, '/account/usage?month=1999-01'), /No machines in this time/);
  });

  it('is nobody else’s', async () => {
    const text = await page(bob, '/account/usage?month=2026-11');
    assertHides(text, /\bweb\b/);
    assertShows(text, /NT\$22/);
    assert.equal((await bob?.get('/admin/usage'))?.status, 403);
    assert.equal((await bob?.get('/admin/usage.csv'))?.status, 403);
    assert.equal((await portal.client().get('/account/usage.csv')).status, 303);
  });

  it('can be read in Chinese', async () => {
    assert.ok(bobUser);
    await updateLanguage(portal.deps.db, bobUser.id, 'zh-TW', now);
    assertShows(await page(bob, '/account/usage'), /用量與費用[\s\S]*截至目前[\s\S]*合計/);
    await updateLanguage(portal.deps.db, bobUser.id, 'en', now);
  });

  it('is a file whose rows add up', async () => {
    const answer = await anna?.get('/account/usage.csv?by=day&month=2026-11');
    assert.match(answer?.headers.get('content-disposition') ?? '', /^attachment; filename="usage_anna_2026-11\.csv"$/);
    const [head, ...lines] = (answer?.text ?? '').replace('\uFEFF', '').trim().split('\r\n');
    assert.equal(head, 'day,instance,instance_id,instance_hours,vcpu_hours,memory_gib_hours,disk_gib_hours,cost NT$');
    assert.equal(lines.length, 16);
    assert.equal(lines[0], `2026-11-01,web,${webId},24,24,24,240,12`);
    assert.equal(lines.reduce((sum, line) => sum + Number(line.split(',')[7]), 0), 241);
  });
});

describe('everybody’s usage', () => {
  it('is told in total and by user, the dearest first, and each user’s machines', async () => {
    const text = await page(admin, '/admin/usage');
    assertShows(text, /Users[\s\S]*?anna[\s\S]*?NT\$241[\s\S]*?bob[\s\S]*?NT\$22[\s\S]*?Total[\s\S]*?NT\$263/);
    assert.ok(annaUser);
    assertShows(await page(admin, `/admin/usage?by=day&month=2026-11&user=${annaUser.id}`), /of anna[\s\S]*?Total[\s\S]*?NT\$241[\s\S]*?web/);
    for (const id of ['x', crypto.randomUUID(), '雲'.repeat(36)]) assert.equal((await admin?.get(`/admin/usage?user=${encodeURIComponent(id)}`))?.status, 404);
  });

  it('is a file by user and day, whose texts are no formulas', async () => {
    await portal.deps.db.execute("UPDATE users SET name = '=cmd' WHERE name = 'bob'");
    const answer = await admin?.get('/admin/usage.csv?by=day&month=2026-11');
    const lines = (answer?.text ?? '').replace('\uFEFF', '').trim().split('\r\n');
    assert.equal(lines[0], 'day,user,user_id,instance_hours,vcpu_hours,memory_gib_hours,disk_gib_hours,cost NT$');
    assert.equal(lines.length, 1 + 16 + 2);
    assert.equal(lines.filter((line) => /^2026-11-1[56],'=cmd,/.test(line)).length, 2);
    await portal.deps.db.execute("UPDATE users SET name = 'bob' WHERE name = '=cmd'");
  });

  it('keeps two currencies apart', async () => {
    await updateSettings(portal.deps.db, 'prices', { ...prices, currency: '€', perVcpu: 60 }, null, now - day / 2);
    const text = await page(admin, '/admin/usage');
    assertShows(text, /currency changed[\s\S]*?Total[\s\S]*?€4[\s\S]*?NT\$241/);
    const answer = await anna?.get('/account/usage.csv');
    assertShows(answer?.text ?? '', /cost €,cost NT\$/);
    assertShows(answer?.text ?? '', /2026-11-16,web,[^\n]*,2,0\r?\n?/);
  });
});

it('the API tells the same', async () => {
  interface Report { by: string; buckets: { name: string; usage: { costs: { currency: string; amount: number }[]; vcpuHours: number } }[]; sum: { costs: { currency: string; amount: number }[]; instanceHours: number } }
  const own = JSON.parse((await anna?.get('/api/v1/me/usage?by=month&year=2026', { accept: 'application/json' }))?.text ?? '') as Report;
  assert.deepEqual(own.sum.costs, [{ currency: '€', amount: 2 }, { currency: 'NT$', amount: 590 }]);
  assert.equal(own.buckets.length, 11);
  const all = JSON.parse((await admin?.get('/api/v1/usage?month=2026-11&pageSize=1', { accept: 'application/json' }))?.text ?? '') as Report & { total: number; items: { user: { name: string } }[] };
  assert.equal(all.total, 2);
  assert.deepEqual(all.items.map(({ user }) => user.name), ['anna']);
  assert.equal(all.sum.instanceHours, 372 + 24);
  assert.equal((await anna?.get('/api/v1/usage', { accept: 'application/json' }))?.status, 403);
  assert.equal((await anna?.get('/api/v1/me/usage?month=11', { accept: 'application/json' }))?.status, 422);
});
