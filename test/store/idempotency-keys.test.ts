// One key, any number of claims at once: exactly one wins, and its answer is given to all that come later.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import {
  claimIdempotencyKey, endIdempotencyClaim, deleteExpiredIdempotencyKeys, releaseIdempotencyKey, updateIdempotencyAnswer, type IdempotencyClaim,
} from '../../src/store/idempotency-keys.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

const now = 1_800_000_000_000;
const minuteMs = 60_000;
const dayMs = 86_400_000;
const aClaim = (over: Partial<IdempotencyClaim> = {}): IdempotencyClaim => ({ userId: randomUUID(), key: 'k', claimId: randomUUID(), requestHash: 'a'.repeat(64), ...over });
const again = (claim: IdempotencyClaim, over: Partial<IdempotencyClaim> = {}): IdempotencyClaim => ({ ...claim, claimId: randomUUID(), ...over });

describe('idempotency keys', () => {
  let database: TestDatabase;
  before(async () => {
    database = await createTestDatabase();
  });
  after(() => database.close());

  it('lets one of many simultaneous claims win', async () => {
    const claim = aClaim();
    const results = await Promise.all(Array.from({ length: 30 }, () => claimIdempotencyKey(database.db, again(claim), now)));
    assert.equal(results.filter(({ outcome }) => outcome === 'claimed').length, 1);
    assert.equal(results.filter(({ outcome }) => outcome === 'in-progress').length, 29);
  });

  it('knows its own claim when the insert is repeated', async () => {
    const claim = aClaim();
    assert.equal((await claimIdempotencyKey(database.db, claim, now)).outcome, 'claimed');
    assert.equal((await claimIdempotencyKey(database.db, claim, now)).outcome, 'claimed');
  });

  it('gives the kept answer to the same request, and refuses another', async () => {
    const claim = aClaim();
    await claimIdempotencyKey(database.db, claim, now);
    const answer = { status: 202, response: { body: { id: 'ö' }, location: '/x' } };
    await updateIdempotencyAnswer(database.db, claim, answer);
    assert.deepEqual(await claimIdempotencyKey(database.db, again(claim), now), { outcome: 'answered', answer });
    assert.equal((await claimIdempotencyKey(database.db, again(claim, { requestHash: 'b'.repeat(64) }), now)).outcome, 'other-request');
    assert.equal((await claimIdempotencyKey(database.db, again(claim, { userId: randomUUID() }), now)).outcome, 'claimed');
  });

  it('keeps no body where it was told so', async () => {
    const claim = aClaim();
    await claimIdempotencyKey(database.db, claim, now);
    await updateIdempotencyAnswer(database.db, claim, { status: 201, response: null });
    assert.deepEqual(await claimIdempotencyKey(database.db, again(claim), now), { outcome: 'answered', answer: { status: 201, response: null } });
  });

  it('is free again after it was released or ran out', async () => {
    const claim = aClaim();
    await claimIdempotencyKey(database.db, claim, now);
    await releaseIdempotencyKey(database.db, claim);
    const second = again(claim);
    assert.equal((await claimIdempotencyKey(database.db, second, now)).outcome, 'claimed');
    await updateIdempotencyAnswer(database.db, second, { status: 202, response: { body: 1 } });
    assert.equal((await claimIdempotencyKey(database.db, again(claim), now + dayMs - 1)).outcome, 'answered');
    assert.equal((await claimIdempotencyKey(database.db, again(claim, { requestHash: 'c'.repeat(64) }), now + dayMs)).outcome, 'claimed');
  });

  it('is taken over by one when the portal that held it died', async () => {
    const claim = aClaim();
    await claimIdempotencyKey(database.db, claim, now);
    assert.equal((await claimIdempotencyKey(database.db, again(claim), now + minuteMs - 1)).outcome, 'in-progress');
    const results = await Promise.all(Array.from({ length: 10 }, () => claimIdempotencyKey(database.db, again(claim), now + minuteMs)));
    const winners = results.filter((result) => result.outcome === 'claimed');
    assert.deepEqual(winners, [{ outcome: 'claimed', since: now }]);
    // what the first one does afterwards changes nothing
    await releaseIdempotencyKey(database.db, claim);
    await updateIdempotencyAnswer(database.db, claim, { status: 202, response: { body: 'late' } });
    assert.equal((await claimIdempotencyKey(database.db, again(claim), now + minuteMs)).outcome, 'in-progress');
  });

  it('may be taken over at once when its holder says that it does not know', async () => {
    const claim = aClaim();
    await claimIdempotencyKey(database.db, claim, now);
    await endIdempotencyClaim(database.db, claim);
    assert.deepEqual(await claimIdempotencyKey(database.db, again(claim), now + 5), { outcome: 'claimed', since: now });
  });

  it('is cleaned up in batches', async () => {
    const claims = Array.from({ length: 3 }, () => aClaim());
    for (const claim of claims) await claimIdempotencyKey(database.db, claim, now + 10 * dayMs);
    await deleteExpiredIdempotencyKeys(database.db, now + 10 * dayMs);
    assert.equal(await deleteExpiredIdempotencyKeys(database.db, now + 11 * dayMs, 2), 2);
    assert.equal(await deleteExpiredIdempotencyKeys(database.db, now + 11 * dayMs, 2), 1);
  });
});
