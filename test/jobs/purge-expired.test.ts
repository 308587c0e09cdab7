// What the purge takes out and what it leaves, on a real database. Run twice it takes no more than once.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { createLog } from '../../src/log.ts';
import { purgeExpired } from '../../src/jobs/purge-expired.ts';
import { createApiToken, revokeToken } from '../../src/store/api-tokens.ts';
import { auditKeptDays, insertAudit } from '../../src/store/audit.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { insertInstanceSamples } from '../../src/store/samples.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

const day = 86_400_000;
const now = Date.UTC(2026, 10, 20, 6);
let database: TestDatabase;
before(async () => {
  database = await createTestDatabase();
});
after(() => database.close());

const purge = (signal = new AbortController().signal): Promise<void> => purgeExpired({ db: database.db, clock: { now: () => now }, log: createLog('silent') }, signal);
const namesIn = async (table: string, column: string): Promise<string[]> =>
  (await database.db.query<{ name: string }>(`SELECT ${column} AS name FROM ${table}`)).map(({ name }) => name).sort();

it('audit entries go when they are too old, however many there are', async () => {
  const { db } = database;
  const entry = (at: number, target: string) => ({ id: crypto.randomUUID(), at, userId: null, userName: 'ann', action: 'instance.create', target, ip: '192.0.2.1', result: 'ok' as const, detail: '' });
  const old = Array.from({ length: 1100 }, (_, i) => entry(now - auditKeptDays * day - 1 - i, 'old'));
  for (let start = 0; start < old.length; start += 100) await Promise.all(old.slice(start, start + 100).map((each) => insertAudit(db, each)));
  await insertAudit(db, entry(now - auditKeptDays * day, 'just kept'));
  await insertAudit(db, entry(now, 'new'));
  for (let run = 0; run < 2; run++) {
    await purge();
    assert.deepEqual(await namesIn('audit', 'target'), ['just kept', 'new']);
  }
});

it('tokens go a month after they died, by age or by hand', async () => {
  const { db } = database;
  const userId = crypto.randomUUID();
  const token = async (name: string, expiresAt: number, revokedAt?: number): Promise<void> => {
    const { id } = await createApiToken(db, { userId, name, scope: 'read', expiresAt }, now - 100 * day);
    if (revokedAt !== undefined) await revokeToken(db, userId, id, revokedAt);
  };
  await token('lives', now + day);
  await token('expired lately', now - 29 * day);
  await token('expired long ago', now - 31 * day);
  await token('revoked lately', now + day, now - 29 * day);
  await token('revoked long ago', now + day, now - 31 * day);
  await token('revoked lately, expired long ago', now - 31 * day, now - 29 * day);
  for (let run = 0; run < 2; run++) {
    await purge();
    assert.deepEqual(await namesIn('api_tokens', 'name'), ['expired lately', 'lives', 'revoked lately']);
  }
});

it('subjects whose owner is gone go all in one run, with what was measured of them; none is begun when it is to stop', async () => {
  const { db } = database;
  const old = now - 2 * 3_600_000;
  const orphans = await Promise.all(Array.from({ length: 620 }, () => insertSampleSubject(db, crypto.randomUUID(), old)));
  await insertInstanceSamples(db, orphans.slice(0, 20).map((subjectId) => ({ subjectId, at: now - 60_000, cpuPercent: 1 })));
  const young = await insertSampleSubject(db, crypto.randomUUID(), now - 60_000);
  const stop = new AbortController();
  stop.abort();
  await purge(stop.signal);
  assert.equal((await namesIn('sample_subjects', 'id')).length, 621);
  for (let run = 0; run < 2; run++) {
    await purge();
    assert.deepEqual(await namesIn('sample_subjects', 'id'), [young]);
    assert.deepEqual(await namesIn('instance_samples', 'subject_id'), []);
  }
});
