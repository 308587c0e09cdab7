// Idempotency-Key over HTTP: done once, answered alike, and no secret is ever kept.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { claimIdempotencyKey } from '../../src/store/idempotency-keys.ts';
import { loggedIn } from '../helpers/accounts.ts';
import { startTestPortal, type TestPortal } from '../helpers/portal.ts';
import { CheckedClient, type Asker } from './checked-client.ts';
import { makeRecords, type Records } from './records.ts';

interface Operation { id: string; instanceId: string }

describe('the same request sent again', () => {
  let records: Records;
  let second: TestPortal;
  let user: Asker;
  let now = Date.now();
  before(async () => {
    const clock = { now: () => now };
    records = await makeRecords({ clock });
    second = await startTestPortal({ database: records.portal.database, runner: false, clock });
    user = await records.api.token(records.user.id, 'write', 7 * 86_400_000);
  });
  after(async () => {
    await second.close();
    await records.portal.close();
  });

  const create = (name: string, key: string) => ({ body: { name, imageId: records.imageId, vcpus: 1, memoryMib: 64, diskGib: 1 }, headers: { 'idempotency-key': key } });
  const total = async (): Promise<number> => (await user.ok<{ total: number }>('GET', '/instances')).total;

  it('gets the first answer, also with the fields in another order', async () => {
    const before = await total();
    const first = await user.call('POST', '/instances', create('once', 'key-1'));
    const { body, headers } = create('once', 'key-1');
    const again = await user.call('POST', '/instances', { raw: JSON.stringify(Object.fromEntries(Object.entries(body).reverse())), headers });
    assert.deepEqual(again.body, first.body);
    assert.equal(again.headers.get('location'), first.headers.get('location'));
    assert.equal(first.headers.get('idempotency-replayed'), null);
    assert.equal(again.headers.get('idempotency-replayed'), 'true');
    assert.equal(await total(), before + 1);
  });

  it('is refused with another body, and with a key that cannot be one', async () => {
    assert.ok((await user.refused(422, 'POST', '/instances', create('other', 'key-1'))).fields?.['Idempotency-Key']);
    await user.refused(422, 'POST', `/instances/${records.instanceId}/actions/start`, { headers: { 'idempotency-key': 'key-1' } });
    for (const key of ['', 'a b', 'x'.repeat(129)]) await user.refused(422, 'POST', '/instances', create('bad-key', key));
  });

  it('is another request when another user sends it', async () => {
    const other = await records.api.token(records.other.id);
    assert.equal((await other.call('POST', '/instances', create('once', 'key-1'))).headers.get('idempotency-replayed'), null);
  });

  it('is done once when it comes many times at once, on two portals', async () => {
    const before = await total();
    const token = await new CheckedClient(second).token(records.user.id);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? user : token).call('POST', '/instances', create('crowd', 'key-2'))));
    assert.ok(answers.every(({ status }) => status === 202 || status === 409), answers.map(({ status }) => status).join());
    assert.equal(new Set(answers.filter(({ status }) => status === 202).map(({ body }) => (body as Operation).id)).size, 1);
    assert.equal(await total(), before + 1);
  });

  it('may be tried again after a refusal', async () => {
    const wrong = create('once', 'key-3');
    assert.equal((await user.refused(409, 'POST', '/instances', wrong)).kind, 'conflict');
    const answer = await user.refused(409, 'POST', '/instances', wrong);
    assert.doesNotMatch(answer.detail, /Idempotency/);
  });

  it('waits for a portal that works on it, and goes on for one that died', async () => {
    const options = create('orphan', 'key-4');
    const first = await user.ok<Operation>('POST', '/instances', options);
    // as if the portal had died between making it and keeping the answer
    await records.portal.deps.db.execute("UPDATE idempotency_keys SET status = NULL, response = NULL WHERE idempotency_key = 'key-4'");
    const waiting = await user.refused(409, 'POST', '/instances', options);
    assert.equal(waiting.retryAfter, 1);
    now += 61_000;
    const again = await user.ok<Operation>('POST', '/instances', options);
    assert.deepEqual([again.id, again.instanceId], [first.id, first.instanceId]);
  });

  it('is the action that a dead portal asked for, while it goes on and after it ended', async () => {
    const { db } = records.portal.deps;
    const path = `/instances/${records.instanceId}/actions/start`;
    const options = { headers: { 'idempotency-key': 'key-6' } };
    const askAgain = async (): Promise<Operation> => {
      await db.execute("UPDATE idempotency_keys SET status = NULL, response = NULL, claimed_until = 0 WHERE idempotency_key = 'key-6'");
      return user.ok<Operation>('POST', path, options);
    };
    await db.execute("UPDATE instances SET state = 'stopped', operation_id = NULL, operation_kind = NULL WHERE id = ?", [records.instanceId]);
    const { id } = await user.ok<Operation>('POST', path, options);
    assert.equal((await askAgain()).id, id);
    await db.execute("UPDATE operations SET state = 'done' WHERE id = ?", [id]);
    await db.execute("UPDATE instances SET state = 'running', operation_id = NULL, operation_kind = NULL WHERE id = ?", [records.instanceId]);
    assert.equal((await askAgain()).id, id);
  });

  it('is the work on a host that a dead portal asked for', async () => {
    const { db } = records.portal.deps;
    const admin = await records.api.token(records.admin.id, 'write', 7 * 86_400_000);
    for (const [index, work] of ['burn-ins', 'maintenance', 'return'].entries()) {
      const key = `host-${index}`;
      const ask = (): Promise<Operation> => admin.ok<Operation>('POST', `/hosts/${records.hostId}/${work}`, { headers: { 'idempotency-key': key } });
      const { id } = await ask();
      await db.execute('UPDATE idempotency_keys SET status = NULL, response = NULL, claimed_until = 0 WHERE idempotency_key = ?', [key]);
      assert.equal((await ask()).id, id, work);
      await admin.refused(409, 'POST', `/hosts/${records.hostId}/${work}`);
    }
  });

  it('is the deletion under way, with and without a key', async () => {
    const { id } = await user.ok<Operation>('DELETE', `/instances/${records.instanceId}`);
    assert.equal((await user.ok<Operation>('DELETE', `/instances/${records.instanceId}`)).id, id);
    await user.refused(409, 'POST', `/instances/${records.instanceId}/actions/force-off`);
  });

  it('is forgotten after a day', async () => {
    now += 86_400_000;
    const answer = await user.call('POST', '/instances', create('next-day', 'key-1'));
    assert.deepEqual([answer.status, answer.headers.get('idempotency-replayed')], [202, null]);
  });

  it('does not bring a secret back', async () => {
    const session = await records.api.session(await loggedIn(records.portal, 'user'));
    const options = { body: { name: 'secret' }, headers: { 'idempotency-key': 'key-5' } };
    const { token } = await session.ok<{ token: string }>('POST', '/tokens', options);
    const refusal = await session.refused(409, 'POST', '/tokens', options);
    assert.equal(refusal.kind, 'conflict');
    assert.equal((await session.ok<{ items: { name: string }[] }>('GET', '/tokens')).items.filter(({ name }) => name === 'secret').length, 1);
    const rows = await records.portal.deps.db.query<{ response: Buffer | null; request_hash: string }>('SELECT response, request_hash FROM idempotency_keys');
    assert.ok(rows.every(({ response }) => response === null || !response.toString().includes(token)));
  });

  it('holds no plain hash of what was sent', async () => {
    const rows = await records.portal.deps.db.query<{ request_hash: string }>('SELECT request_hash FROM idempotency_keys');
    const plain = createHash('sha256').update(JSON.stringify({ name: 'secret' })).digest('hex');
    assert.ok(rows.length > 0 && rows.every((row) => row.request_hash !== plain));
    assert.equal((await claimIdempotencyKey(records.portal.deps.db, { userId: records.user.id, key: 'key-5', claimId: crypto.randomUUID(), requestHash: plain }, now)).outcome, 'other-request');
  });
});
