// Every endpoint as visitor, as another user, as user and as admin, by token and by session.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createApiToken } from '../../src/store/api-tokens.ts';
import { insertImage, selectImage } from '../../src/store/images.ts';
import { updateUserAccess } from '../../src/store/users.ts';
import { selectAuditPage, type AuditEntry } from '../../src/store/audit.ts';
import type { Endpoint } from '../../src/web/api/endpoint.ts';
import { auditSettled, loggedIn, makeUser } from '../helpers/accounts.ts';
import type { Asker } from './checked-client.ts';
import { makeRecords, type Records } from './records.ts';

describe('who may use the API', () => {
  let records: Records;
  before(async () => {
    records = await makeRecords();
  });
  after(() => records.portal.close());

  /** ids of the user's own things, or of the cluster's, in the path */
  const target = (endpoint: Endpoint): string => {
    const id = { instances: records.instanceId, operations: records.operationId, images: records.imageId, flavours: records.flavourId, hosts: records.hostId, users: records.user.id,
      moves: records.moveId, suggestions: records.suggestionId, recoveries: records.recoveryId, incidents: records.incidentId }[endpoint.path.split('/')[1] ?? ''];
    return endpoint.path.replace(':id', id ?? crypto.randomUUID()) + ({ getAdmission: '?vcpus=1&memoryMib=128&diskGib=1', checkMove: `?instanceId=${records.instanceId}` }[endpoint.id] ?? '');
  };
  const ofOneUser = (endpoint: Endpoint): boolean => endpoint.path.includes(':id') && /^\/(?:instances|operations|tokens)\//.test(endpoint.path);
  const everyEndpoint = async (work: (endpoint: Endpoint) => Promise<void>): Promise<void> => {
    for (const endpoint of records.api.endpoints) await work(endpoint);
  };

  it('refuses visitors everywhere, and says how to come in', () => everyEndpoint(async (endpoint) => {
    const answer = await records.api.visitor().call(endpoint.method.toUpperCase(), target(endpoint));
    assert.equal(answer.status, 401, endpoint.id);
    assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer/);
  }));

  it('refuses bad tokens: unknown, malformed, expired, revoked, of a disabled account', async () => {
    const { api, portal } = records;
    const person = await makeUser(portal.deps.db, 'leaver');
    const leaver = await api.token(person.id);
    const expired = await api.token(records.user.id, 'write', -1);
    await leaver.ok('GET', '/me');
    const [{ id }] = (await leaver.ok<{ items: [{ id: string }] }>('GET', '/tokens')).items;
    await leaver.ok('DELETE', `/tokens/${id}`);
    const disabled = await api.token(person.id);
    await disabled.ok('GET', '/me');
    await updateUserAccess(portal.deps.db, person.id, { state: 'disabled' }, Date.now());
    for (const asker of [leaver, expired, disabled, api.as({ authorization: 'Bearer nonsense' }), api.as({ authorization: `Bearer ${'x'.repeat(5000)}` })]) {
      assert.equal((await asker.refused(401, 'GET', '/me')).kind, 'unauthenticated');
    }
  });

  it('keeps admins’ endpoints from users', async () => {
    const user = await records.api.token(records.user.id);
    await everyEndpoint(async (endpoint) => {
      if (endpoint.access !== 'admin') return;
      assert.equal((await user.call(endpoint.method.toUpperCase(), target(endpoint), endpoint.method === 'get' ? {} : { body: {} })).status, 403, endpoint.id);
    });
    await user.refused(403, 'GET', '/instances?owner=all');
    await user.refused(403, 'GET', '/operations?owner=all');
  });

  it('does not find what is another user’s', async () => {
    const other = await records.api.token(records.other.id);
    await everyEndpoint(async (endpoint) => {
      if (!ofOneUser(endpoint)) return;
      assert.equal((await other.call(endpoint.method.toUpperCase(), target(endpoint))).status, 404, endpoint.id);
    });
    const list = await other.ok<{ total: number }>('GET', `/operations?instanceId=${records.instanceId}`);
    assert.equal(list.total, 0);
    assert.equal((await other.ok<{ total: number }>('GET', '/instances')).total, 0);
  });

  it('does not find what is not there, nor what cannot be an id', async () => {
    const admin = await records.api.token(records.admin.id);
    await everyEndpoint(async (endpoint) => {
      if (!endpoint.path.includes(':id')) return;
      const body = endpoint.body === undefined ? {} : { body: {} };
      for (const id of [crypto.randomUUID(), 'x', '%00', '..%2f..', "'", 'a'.repeat(3000)]) {
        const answer = await admin.call(endpoint.method.toUpperCase(), endpoint.path.replace(':id', id), body);
        assert.ok(answer.status === 404 || answer.status === 400, `${endpoint.id} ${id}: ${answer.status}`);
      }
    });
  });

  it('lets a reading token read and nothing else', async () => {
    const reader = await records.api.token(records.admin.id, 'read');
    await everyEndpoint(async (endpoint) => {
      const answer = await reader.call(endpoint.method.toUpperCase(), target(endpoint), endpoint.method === 'get' ? {} : { body: {} });
      assert.equal(answer.status, endpoint.scope === 'read' ? 200 : 403, endpoint.id);
    });
  });

  it('makes no tokens and no admins for a token', async () => {
    const admin = await records.api.token(records.admin.id);
    await admin.refused(403, 'POST', '/tokens', { body: { name: 'more' } });
    await admin.refused(403, 'POST', '/users', { body: { name: 'evil', displayName: 'E', email: 'e@example.org', role: 'admin' } });
    await admin.refused(403, 'PATCH', `/users/${records.user.id}`, { body: { role: 'admin' } });
  });

  it('takes an admin’s rights from the token when the person loses them', async () => {
    const person = await makeUser(records.portal.deps.db, 'deputy', { role: 'admin' });
    const deputy = await records.api.token(person.id);
    await deputy.ok('GET', '/users');
    await updateUserAccess(records.portal.deps.db, person.id, { role: 'user' }, Date.now());
    await deputy.refused(403, 'GET', '/users');
  });

  it('takes a session too, with the CSRF token for changes', async () => {
    const session = await records.api.session(await loggedIn(records.portal, 'user'));
    assert.equal((await session.ok<{ name: string }>('GET', '/me')).name, 'user');
    const made = await session.ok<{ id: string; token: string; scope: string }>('POST', '/tokens', { body: { name: 'mine', scope: 'read', days: 1 } });
    assert.equal(made.scope, 'read');
    await records.api.as({ authorization: `Bearer ${made.token}` }).ok('GET', '/me');
    await session.refused(403, 'POST', '/tokens', { body: { name: 'mine' }, headers: { 'x-csrf-token': 'wrong' } });
    await session.refused(403, 'DELETE', `/tokens/${made.id}`, { headers: { 'x-csrf-token': '' } });
    await session.refused(403, 'DELETE', `/tokens/${made.id}`, { headers: { 'sec-fetch-site': 'cross-site' } });
    await session.ok('DELETE', `/tokens/${made.id}`);
  });

  it('gives a token no way into the pages', async () => {
    const { secret } = await createApiToken(records.portal.deps.db, { userId: records.user.id, name: 't', scope: 'write', expiresAt: Date.now() + 60_000 }, Date.now());
    const response = await fetch(`${records.portal.url}/account`, { redirect: 'manual', headers: { authorization: `Bearer ${secret}`, accept: 'text/html' } });
    assert.equal(response.status, 303);
    await response.text();
  });

  it('shows users only what may be chosen', async () => {
    const { db } = records.portal.deps;
    const hidden = { ...(await selectImage(db, records.imageId)), id: crypto.randomUUID(), name: 'hidden', volume: 'hidden.qcow2', enabled: false };
    await insertImage(db, hidden);
    const [user, admin] = [await records.api.token(records.user.id), await records.api.token(records.admin.id)];
    const names = async (asker: Asker): Promise<string[]> => (await asker.ok<{ items: { name: string }[] }>('GET', '/images')).items.map((image) => image.name);
    assert.deepEqual(await names(user), ['Demo']);
    assert.deepEqual(await names(admin), ['Demo', 'hidden']);
    await user.refused(404, 'GET', `/images/${hidden.id}`);
  });

  it('writes changes and refused changes to the audit log, without secrets', async () => {
    const session = await records.api.session(await loggedIn(records.portal, 'user'));
    const { token } = await session.ok<{ token: string }>('POST', '/tokens', { body: { name: 'for the audit' } });
    const reader = await records.api.token(records.user.id, 'read');
    await reader.refused(403, 'DELETE', `/instances/${records.instanceId}`);
    const read = async (): Promise<AuditEntry[]> => (await selectAuditPage(records.portal.deps.db, { userName: 'user' }, 50, 0)).entries;
    // a row gets its result when the answer is out
    await auditSettled(records.portal.deps.db);
    const entries = await read();
    const find = (action: string, target: string): string | undefined => entries.find((entry) => entry.action === action && entry.target === target)?.result;
    assert.equal(find('token.create', 'for the audit'), 'ok');
    assert.equal(find('instance.delete', records.instanceId), 'refused');
    assert.ok(!JSON.stringify(entries).includes(token));
  });

  it('slows down whoever tries bad tokens, and nobody else there', async () => {
    const user = await records.api.token(records.user.id);
    let answer = await records.api.as({ authorization: 'Bearer guess' }).call('GET', '/me');
    for (let tries = 0; tries < 80 && answer.status === 401; tries++) answer = await records.api.as({ authorization: `Bearer guess${tries}` }).call('GET', '/me');
    assert.equal(answer.status, 429);
    assert.ok(Number(answer.headers.get('retry-after')) > 0);
    await user.ok('GET', '/me');
  });
});
