// Ids that somebody else chose: of machines that are not theirs, that are gone, or that nobody ever had.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { loggedIn } from '../helpers/accounts.ts';
import { formFields } from '../helpers/form.ts';
import type { Client } from '../helpers/portal.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
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
