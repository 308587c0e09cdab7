// Ids that somebody else chose: of machines that are not theirs, that are gone, or that nobody ever had.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { loggedIn } from '../helpers/accounts.ts';
import { formFields } from '../helpers/form.ts';
import type { Client } from '../helpers/portal.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { insertOperation, selectOperation } from '../../src/store/operations.ts';
import { updateImageEnabled } from '../../src/store/images.ts';

let cloud: TestCloud;
before(async () => { cloud = await startTestCloud({ runner: false }); });
after(() => cloud.close());

async function wizardOf(name: string): Promise<{ client: Client; fields: Record<string, string> }> {
  const client = await loggedIn(cloud.portal, name);
  const fields = formFields((await client.get('/instances/new')).text, /<form[^>]*id="wizard"/);
  return { client, fields: { ...fields, vcpus: '1', memoryMib: '64', diskGib: '1', sshKey: '', userData: '' } };
}

describe('the id in the wizard', () => {
  it('is one that the portal gave to this very user', async () => {
    const mine = await wizardOf('user');
    const theirs = await wizardOf('other');
    const id = mine.fields['instanceId'] ?? '';
    // another user's form, an id of nobody, and one that is almost right
    for (const instanceId of [theirs.fields['instanceId'] ?? '', crypto.randomUUID(), `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`, id.toUpperCase()]) {
      const answer = await mine.client.post('/instances', { ...mine.fields, instanceId });
      assert.ok(answer.status === 404 || (answer.status === 422 && instanceId !== instanceId.toLowerCase()), `${answer.status} ${instanceId}`);
      assert.equal(await selectOptionalInstance(cloud.portal.deps.db, instanceId), undefined);
    }
    assert.equal((await mine.client.post('/instances', mine.fields)).location, `/instances/${id}`);
    assert.equal((await selectOptionalInstance(cloud.portal.deps.db, id))?.userId, cloud.user.id);
  });
});

describe('an image that is not offered', () => {
  it('cannot be had by its id, on the page or by the API', async () => {
    const { client, fields } = await wizardOf('other');
    await updateImageEnabled(cloud.portal.deps.db, cloud.image.id, false);
    const answer = await client.post('/instances', { ...fields, name: 'hidden', imageId: cloud.image.id });
    assert.ok([409, 422].includes(answer.status), String(answer.status));
    const api = await cloud.api.token(cloud.other.id);
    await api.refused(422, 'POST', '/instances', { raw: JSON.stringify({ name: 'hidden', imageId: cloud.image.id, vcpus: 1, memoryMib: 64, diskGib: 1 }) });
    await api.refused(404, 'GET', `/images/${cloud.image.id}`);
    await updateImageEnabled(cloud.portal.deps.db, cloud.image.id, true);
  });
});

describe('what nobody may choose', () => {
  it('is not taken from a request: host, pool, owner, state, price', async () => {
    const api = await cloud.api.token(cloud.other.id);
    const good = { name: 'plain', imageId: cloud.image.id, vcpus: 1, memoryMib: 64, diskGib: 1 };
    for (const extra of [{ hostId: crypto.randomUUID() }, { poolId: crypto.randomUUID() }, { userId: cloud.user.id }, { id: crypto.randomUUID() }, { instanceId: crypto.randomUUID() }, { state: 'running' }, { network: 'x' }]) {
      await api.refused(422, 'POST', '/instances', { raw: JSON.stringify({ ...good, ...extra }) });
    }
    const { client, fields } = await wizardOf('other');
    const answer = await client.post('/instances', { ...fields, name: 'plain', userId: cloud.user.id, hostId: crypto.randomUUID(), poolId: crypto.randomUUID(), state: 'running' });
    assert.equal(answer.status, 303);
    const made = await selectOptionalInstance(cloud.portal.deps.db, fields['instanceId'] ?? '');
    assert.deepEqual([made?.userId, made?.state], [cloud.other.id, 'creating']);
  });

  it('nor a size that is no size', async () => {
    const api = await cloud.api.token(cloud.other.id);
    for (const vcpus of ['0', '-1', '1.5', '1e309', '-0.0001', '"1"', '[1]', 'null', 'true', '{}', '9007199254740993', '1000000001']) {
      await api.refused(422, 'POST', '/instances', { raw: `{"name":"n","imageId":"${cloud.image.id}","vcpus":${vcpus},"memoryMib":64,"diskGib":1}` });
    }
    // the last of two counts for JSON, the first for forms: neither passes unseen
    await api.refused(422, 'POST', '/instances', { raw: `{"name":"n","imageId":"${cloud.image.id}","vcpus":1,"memoryMib":64,"diskGib":1,"vcpus":999}` });
    const { client, fields } = await wizardOf('other');
    for (const memoryMib of ['0', '-64', '64.5', '1e309', 'NaN', 'Infinity', '0x40', '９９', '9'.repeat(400), '']) {
      assert.equal((await client.post('/instances', { ...fields, name: 'odd', memoryMib })).status, 422, memoryMib);
    }
  });
});

describe('what only an administrator may wish for', () => {
  it('is not had by another door: the first turn after a failure, a move, a host', async () => {
    const { client, fields } = await wizardOf('other');
    const high = await client.post('/instances', { ...fields, name: 'first', haPriority: '2' });
    assert.equal(high.status, 422);
    assert.equal(await selectOptionalInstance(cloud.portal.deps.db, fields['instanceId'] ?? ''), undefined);
    assert.equal((await client.post('/instances', { ...fields, name: 'calm', haPriority: '1', ha: 'on', antiAffinity: 'web' })).status, 303);
    const id = fields['instanceId'] ?? '';
    for (const haPriority of ['2', ' 2', '02', '2.0', '1e0', '-1', '3', '__proto__']) {
      assert.equal((await client.post(`/instances/${id}/options`, { ha: 'on', haPriority, antiAffinity: '' })).status, 422, haPriority);
    }
    const api = await cloud.api.token(cloud.other.id);
    for (const body of ['{"priority":"high"}', '{"haPriority":2}', '{"hostId":null}', '{"returnHostId":null}', '{"userId":"x"}', '{"antiAffinity":"A B"}', '{"antiAffinity":"<b>"}', '{"antiAffinity":"a\\u0000b"}', `{"antiAffinity":"${'g'.repeat(33)}"}`]) {
      await api.refused(422, 'PATCH', `/instances/${id}`, { raw: body });
    }
    await api.refused(422, 'POST', '/instances', { raw: JSON.stringify({ name: 'first', imageId: cloud.image.id, vcpus: 1, memoryMib: 64, diskGib: 1, priority: 'high' }) });
    await api.refused(403, 'POST', '/moves', { raw: JSON.stringify({ instanceIds: [id] }) });
    await api.refused(403, 'GET', `/moves/check?instanceId=${id}`);
    const kept = await selectOptionalInstance(cloud.portal.deps.db, id);
    assert.deepEqual([kept?.haPriority, kept?.antiAffinity, kept?.hostId === null], [1, 'web', false]);
    // given by an admin it may stay, and once it is given away it is gone
    await cloud.portal.deps.db.execute('UPDATE instances SET ha_priority = 2 WHERE id = ?', [id]);
    for (const [haPriority, status] of [['2', 303], ['0', 303], ['2', 422]] as const) assert.equal((await client.post(`/instances/${id}/options`, { ha: 'on', haPriority, antiAffinity: '' })).status, status);
  });

  it('ends with the role: who is no administrator any more stops nothing of what they began on hosts', async () => {
    const { db } = cloud.portal.deps;
    const demoted = await loggedIn(cloud.portal, 'other');
    for (const kind of ['host-drain', 'host-return', 'host-recover', 'host-drill', 'host-burn-in'] as const) {
      const id = crypto.randomUUID();
      await insertOperation(db, { id, kind, instanceId: null, hostId: null, userId: cloud.other.id, input: {}, stepNames: ['wait'], createdAt: Date.now() });
      assert.equal((await demoted.post(`/operations/${id}/cancel`)).status, 403, kind);
      await (await cloud.api.token(cloud.other.id)).refused(403, 'POST', `/operations/${id}/cancel`);
      assert.equal((await selectOperation(db, id)).cancelRequested, false);
      await db.execute("UPDATE operations SET state = 'cancelled', ended_at = ? WHERE id = ?", [Date.now(), id]);
    }
  });
});
