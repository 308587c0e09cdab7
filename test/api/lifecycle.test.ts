// The whole life of an instance through the API, on a fake host; and one good answer of every endpoint, held against its schema.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { insertInstanceSamples } from '../../src/store/samples.ts';
import { settingsGroups } from '../../src/store/settings.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { say } from '../../src/errors.ts';
import { insertFlavour } from '../../src/store/flavours.ts';
import { insertIncidents } from '../../src/store/incidents.ts';
import { loggedIn } from '../helpers/accounts.ts';
import type { Asker } from './checked-client.ts';
import { needsTwoHosts, startTestCloud, type TestCloud } from './cloud.ts';

interface Operation { id: string; kind: string; state: string; instanceId: string; error: string | null; steps?: { name: string; state: string }[]; cancelRequested: boolean }
interface Instance { id: string; name: string; state: string; actions: string[]; host: { id: string; name: string } | null; measured: { cpuPercent: number; stale: boolean } | null; operation: { id: string } | null }
interface Page<T> { items: T[]; page: number; pageSize: number; total: number }

describe('an instance’s life through the API', () => {
  let cloud: TestCloud;
  let user: Asker;
  let admin: Asker;
  before(async () => {
    cloud = await startTestCloud();
    user = await cloud.api.token(cloud.user.id);
    admin = await cloud.api.token(cloud.admin.id);
  });
  after(() => cloud.close());

  const size = { vcpus: 1, memoryMib: 256, diskGib: 2 };
  const create = async (name: string): Promise<Operation> => user.ok('POST', '/instances', { body: { name, imageId: cloud.image.id, ...size } });
  const ended = async (operation: Operation): Promise<Operation> => {
    for (const end = Date.now() + 60_000; Date.now() < end; await delay(20)) {
      const now = await user.ok<Operation>('GET', `/operations/${operation.id}`);
      if (['done', 'failed', 'cancelled'].includes(now.state)) return now;
    }
    throw new Error(`${operation.kind} does not end`);
  };
  const done = async (operation: Operation): Promise<Operation> => {
    const now = await ended(operation);
    assert.equal(now.state, 'done', now.error ?? '');
    return now;
  };

  it('may be asked about before', async () => {
    const verdict = await user.ok<{ allowed: boolean; host: { name: string }; price: { total: number }; reasons: unknown[] }>('GET', `/admission?vcpus=1&memoryMib=1024&diskGib=2&imageId=${cloud.image.id}`);
    assert.deepEqual([verdict.allowed, verdict.host.name, verdict.price.total, verdict.reasons], [true, 'host1', 1000 + 1500 + 3000, []]);
    const tooMuch = await user.ok<{ allowed: boolean; reasons: { kind: string; field: string; text: string }[] }>('GET', '/admission?vcpus=64&memoryMib=1024&diskGib=2');
    assert.equal(tooMuch.allowed, false);
    assert.ok(tooMuch.reasons.some((reason) => reason.field === 'vcpus' && reason.text.length > 10));
    assert.ok((await user.refused(422, 'GET', `/admission?vcpus=1&memoryMib=1&diskGib=2&imageId=${crypto.randomUUID()}`)).fields?.['imageId']);
  });

  it('begins with 202 and an operation that can be watched', async () => {
    const answer = await user.call('POST', '/instances', { body: { name: 'first', imageId: cloud.image.id, ...size } });
    const operation = answer.body as Operation;
    assert.equal(answer.status, 202);
    assert.equal(answer.headers.get('location'), `/api/v1/operations/${operation.id}`);
    const end = await done(operation);
    assert.ok(end.steps !== undefined && end.steps.length > 2 && end.steps.every((step) => step.state === 'done'));
    const instance = await user.ok<Instance>('GET', `/instances/${operation.instanceId}`);
    assert.deepEqual([instance.name, instance.state, instance.host?.name, instance.operation], ['first', 'running', 'host1', null]);
    assert.deepEqual(instance.actions.sort(), ['console', 'delete', 'force-off', 'reboot', 'shutdown']);
    assert.equal(cloud.host.domains.get(instance.id)?.isActive, true);
  });

  it('is refused in words that name the field', async () => {
    const body = { name: 'second', imageId: cloud.image.id, ...size };
    assert.equal((await user.refused(409, 'POST', '/instances', { body: { ...body, name: 'first' } })).kind, 'conflict');
    assert.ok((await user.refused(422, 'POST', '/instances', { body: { ...body, name: 'not a name' } })).fields?.['name']);
    assert.ok((await user.refused(422, 'POST', '/instances', { body: { ...body, imageId: crypto.randomUUID() } })).fields?.['imageId']);
    assert.ok((await user.refused(422, 'POST', '/instances', { body: { ...body, vcpus: 1000 } })).fields?.['vcpus']);
    assert.ok((await user.refused(422, 'POST', '/instances', { body: { ...body, host: 'x' } })).fields?.['host']);
    const chinese = await user.refused(422, 'POST', '/instances', { body: { ...body, name: 1 }, headers: { 'accept-language': 'zh-TW' } });
    assert.deepEqual([chinese.title, chinese.fields?.['name']], ['資料需要修正', '此值必須是文字。']);
  });

  it('is listed in pages', async () => {
    await done(await create('second'));
    const answer = await user.call('GET', '/instances?pageSize=1&page=2');
    const page = answer.body as Page<Instance>;
    assert.deepEqual([page.total, page.items.map((item) => item.name)], [2, ['second']]);
    assert.equal(answer.headers.get('link'), '</api/v1/instances?pageSize=1&page=1>; rel="first", </api/v1/instances?pageSize=1&page=2>; rel="last", </api/v1/instances?pageSize=1&page=1>; rel="prev"');
    assert.equal((await user.ok<Page<Instance>>('GET', '/instances?search=fir')).total, 1);
    const inState = async (who: typeof user, query: string): Promise<unknown> => {
      const { total, items } = await who.ok<Page<Instance>>('GET', `/instances?${query}`);
      return [total, items.map((item) => item.name)];
    };
    assert.deepEqual(await inState(user, 'state=running&pageSize=1'), [2, ['first']]);
    assert.deepEqual(await inState(user, 'state=stopped'), [0, []]);
    assert.deepEqual(await inState(admin, 'owner=all&state=running&search=sec'), [1, ['second']]);
    assert.ok((await user.refused(422, 'GET', '/instances?state=flying')).fields?.['state']);
    assert.equal((await admin.ok<Page<Instance>>('GET', '/instances')).total, 0);
    assert.equal((await admin.ok<Page<Instance>>('GET', '/instances?owner=all')).total, 2);
    assert.equal((await user.ok<Page<Operation>>('GET', '/operations?kind=instance-create&state=done')).total, 2);
    assert.equal((await admin.ok<Page<Operation>>('GET', '/operations?owner=all')).total, 2);
    await user.refused(422, 'GET', '/instances?pageSize=201');
    await user.refused(422, 'GET', '/instances?sort=name');
  });

  it('is measured', async () => {
    const { id } = await firstInstance();
    const subjectId = (await selectOptionalInstance(cloud.portal.deps.db, id))?.subjectId ?? 0;
    const at = Date.now();
    await insertInstanceSamples(cloud.portal.deps.db, [{ subjectId, at, cpuPercent: 12.5, memoryUsedMib: 100, diskReadBytesPerSecond: 1, diskWriteBytesPerSecond: 2, networkReceiveBytesPerSecond: 3, networkTransmitBytesPerSecond: null }]);
    const { items } = await user.ok<{ items: { at: string; cpuPercent: number }[] }>('GET', `/instances/${id}/samples`);
    assert.deepEqual(items.map((item) => [item.at, item.cpuPercent]), [[new Date(at).toISOString(), 12.5]]);
    const instance = await user.ok<Instance>('GET', `/instances/${id}`);
    assert.deepEqual([instance.measured?.cpuPercent, instance.measured?.stale], [12.5, false]);
    assert.equal((await user.ok<{ items: unknown[] }>('GET', `/instances/${id}/samples?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z`)).items.length, 0);
    assert.ok((await user.refused(422, 'GET', `/instances/${id}/samples?from=2020-01-02T00:00:00Z&to=2020-01-01T00:00:00Z`)).fields?.['from']);
    assert.ok((await user.refused(422, 'GET', `/instances/${id}/samples?from=yesterday`)).fields?.['from']);
  });

  it('shows its screen to its owner by a new password each time', async () => {
    const { id } = await firstInstance();
    const [first, second] = [await open(id), await open(id)];
    assert.match(first.password, /^[A-Za-z0-9]{8}$/);
    assert.notEqual(first.password, second.password);
    assert.equal(cloud.host.domains.get(id)?.vnc?.password, second.password);
    assert.equal(second.port, cloud.host.domains.get(id)?.vnc?.port);
    assert.ok(Date.parse(second.expiresAt) > Date.now());
  });
  const open = (id: string): Promise<{ address: string; port: number; password: string; expiresAt: string }> => user.ok('POST', `/instances/${id}/console`);

  it('is rebooted, shut down, started, powered off', async () => {
    const { id } = await firstInstance();
    const act = async (action: string, state: string): Promise<void> => {
      await done(await user.ok<Operation>('POST', `/instances/${id}/actions/${action}`));
      assert.equal((await user.ok<Instance>('GET', `/instances/${id}`)).state, state, action);
    };
    await act('reboot', 'running');
    await act('shutdown', 'stopped');
    const refusal = await user.refused(409, 'POST', `/instances/${id}/actions/shutdown`);
    assert.equal(refusal.kind, 'conflict');
    await user.refused(409, 'POST', `/instances/${id}/console`);
    await act('start', 'running');
    await act('force-off', 'stopped');
  });

  it('is worked on by one operation at a time, which may be cancelled', async () => {
    const { id } = await firstInstance();
    await done(await user.ok<Operation>('POST', `/instances/${id}/actions/start`));
    const domain = cloud.host.domains.get(id);
    assert.ok(domain !== undefined);
    domain.ignoresAcpi = true;
    const shutdown = await user.ok<Operation>('POST', `/instances/${id}/actions/shutdown`);
    assert.equal((await user.refused(409, 'POST', `/instances/${id}/actions/force-off`)).kind, 'conflict');
    const mayBeCancelled = async (): Promise<boolean> => {
      const { state, cancellable } = await user.ok<{ cancellable: boolean; state: string }>('GET', `/operations/${shutdown.id}`);
      return state === 'running' && cancellable;
    };
    for (const end = Date.now() + 60_000; !(await mayBeCancelled()); await delay(20)) assert.ok(Date.now() < end, 'it does not begin');
    assert.equal((await user.ok<Operation>('POST', `/operations/${shutdown.id}/cancel`)).cancelRequested, true);
    assert.equal((await ended(shutdown)).state, 'cancelled');
    // asked once more it is no error; for one that has ended otherwise it is too late
    await user.ok('POST', `/operations/${shutdown.id}/cancel`);
    const { items: [earlier] } = await user.ok<Page<Operation>>('GET', '/operations?kind=instance-create&state=done');
    assert.equal((await user.refused(409, 'POST', `/operations/${earlier?.id}/cancel`)).kind, 'conflict');
    assert.equal((await user.ok<Instance>('GET', `/instances/${id}`)).state, 'running');
  });

  it('is deleted with all it had', async () => {
    for (const { id } of (await user.ok<Page<Instance>>('GET', '/instances')).items) {
      const deleted = await done(await user.ok<Operation>('DELETE', `/instances/${id}`));
      await user.refused(404, 'GET', `/instances/${id}`);
      assert.equal((await user.ok<Operation>('GET', `/operations/${deleted.id}`)).state, 'done');
    }
    assert.equal(cloud.host.domains.size, 0);
    const me = await user.ok<{ usage: object; effectiveQuota: { instances: number } }>('GET', '/me');
    assert.deepEqual(me.usage, { instances: 0, vcpus: 0, memoryMib: 0, diskGib: 0 });
    assert.equal(me.effectiveQuota.instances, 5);
  });

  it('stands in the Resource Monitor', async () => {
    const resources = await user.ok<{ currency: string; rows: { item: string; count: number; unit: string; subtotal: number | null }[] }>('GET', '/resources');
    assert.deepEqual(resources.rows.map((row) => row.item), ['vcpus', 'memory', 'disk', 'instances', 'stopped']);
    assert.equal(resources.rows[0]?.subtotal, (resources.rows[0]?.count ?? 0) * 1000);
  });

  it('is made within limits that admins set', async () => {
    const thresholds = await user.ok<Record<string, unknown> & { version: number }>('GET', '/settings/thresholds');
    const { version: _, ...values } = thresholds;
    const changed = await admin.ok<{ windowSeconds: number; version: number }>('PUT', '/settings/thresholds', { body: { ...values, windowSeconds: 60 } });
    assert.equal(changed.windowSeconds, 60);
    const crossed = await admin.refused(422, 'PUT', '/settings/thresholds', { body: { ...values, cpuPercent: { close: 50, open: 60 } } });
    assert.ok(crossed.fields?.['cpuPercent.open']);
    assert.equal((await admin.refused(409, 'PUT', '/settings/thresholds', { body: { ...values, version: changed.version - 1 } })).kind, 'conflict');
    await admin.ok('PUT', '/settings/thresholds', { body: { ...values, version: changed.version } });
    await user.ok('GET', '/settings/prices');
    const prices = await admin.ok<{ perVcpu: number }>('PUT', '/settings/prices', { body: { currency: 'NT$', perVcpu: 1200, perMemoryGib: 0, perDiskGib: 1.5 } });
    assert.equal(prices.perVcpu, 1200);
    assert.ok((await admin.refused(422, 'PUT', '/settings/prices', { body: { currency: 'NT$', perVcpu: -1, perMemoryGib: 0, perDiskGib: 0 } })).fields?.['perVcpu']);
    for (const group of settingsGroups) await admin.ok('PUT', `/settings/${group}`, { body: await admin.ok('GET', `/settings/${group}`) });
    for (const [group, change, wrong] of [
      ['migration', { perHost: 3 }, { perHost: 0 }], ['balancing', { mode: 'suggest' }, { lowCpuPercent: 99 }], ['site', { name: 'Lab' }, { name: '' }],
    ] as const) {
      const { version: __, ...before } = await admin.ok<Record<string, unknown> & { version: number }>('GET', `/settings/${group}`);
      const after = await admin.ok<Record<string, unknown> & { version: number }>('PUT', `/settings/${group}`, { body: { ...before, ...change } });
      assert.deepEqual(after, { ...before, ...change, version: after.version });
      await admin.refused(422, 'PUT', `/settings/${group}`, { body: { ...before, ...wrong } });
      await admin.refused(422, 'PUT', `/settings/${group}`, { body: { ...before, unknown: 1 } });
      await user.refused(403, 'GET', `/settings/${group}`);
      await admin.ok('PUT', `/settings/${group}`, { body: before });
    }
  });

  it('belongs to accounts that admins keep', async () => {
    const made = await admin.ok<{ id: string; passwordLink: string; state: string }>('POST', '/users', { body: { name: 'student', displayName: 'A Student', email: 's@example.org' } });
    assert.match(made.passwordLink, /^http.*\/setup\/.{20,}/);
    assert.equal((await admin.refused(409, 'POST', '/users', { body: { name: 'student', displayName: 'B', email: 'b@example.org' } })).kind, 'conflict');
    const fields = (await admin.refused(422, 'POST', '/users', { body: { name: 'Not A Name', displayName: '', email: 'x', role: 'root' } })).fields ?? {};
    assert.deepEqual(Object.keys(fields).sort(), ['displayName', 'email', 'name', 'role']);
    const limited = await admin.ok<{ quota: object }>('PATCH', `/users/${made.id}`, { body: { quota: { instances: 1, vcpus: null } } });
    assert.deepEqual(limited.quota, { instances: 1, vcpus: null, memoryMib: null, diskGib: null });
    assert.equal((await admin.ok<{ state: string }>('PATCH', `/users/${made.id}`, { body: { state: 'disabled' } })).state, 'disabled');
    assert.equal((await admin.ok<{ quota: object }>('GET', `/users/${made.id}`)).quota !== undefined, true);
    assert.equal((await admin.ok<Page<unknown>>('GET', '/users?state=disabled')).total, 1);
    assert.equal((await admin.ok<Page<unknown>>('GET', '/users?search=stud')).total, 1);
    assert.equal((await admin.refused(409, 'PATCH', `/users/${cloud.admin.id}`, { body: { role: 'user' } })).kind, 'conflict');
  });

  it('has been through every endpoint', async () => {
    const flavour = { id: crypto.randomUUID(), name: 'one', ...size, position: 0, enabled: true };
    await insertFlavour(cloud.portal.deps.db, flavour);
    await user.ok('GET', '/flavours');
    await user.ok('GET', `/flavours/${flavour.id}`);
    await user.ok('GET', '/images');
    await user.ok('GET', `/images/${cloud.image.id}`);
    const { items } = await admin.ok<Page<{ id: string; cpus: number; uri: string }>>('GET', '/hosts');
    assert.equal((await admin.ok<{ cpus: number }>('GET', `/hosts/${items[0]?.id}`)).cpus, 8);
    await incidentsAreAcknowledged();
    const ownUsage = await user.ok<{ sum: { vcpuHours: number } }>('GET', '/me/usage?by=month');
    const usage = await admin.ok<Page<{ user: { name: string }; usage: { vcpuHours: number } }>>('GET', '/usage?by=month');
    assert.equal(usage.items.find((item) => item.user.name === 'user')?.usage.vcpuHours.toFixed(3), ownUsage.sum.vcpuHours.toFixed(3));
    const session = await cloud.api.session(await loggedIn(cloud.portal, 'user'));
    const { id } = await session.ok<{ id: string }>('POST', '/tokens', { body: { name: 'x' } });
    await session.ok('GET', '/tokens');
    await session.ok('DELETE', `/tokens/${id}`);
    assert.deepEqual(cloud.api.endpoints.filter((endpoint) => !needsTwoHosts(endpoint)).map((endpoint) => endpoint.id).filter((each) => !cloud.api.seen.has(each)), []);
  });

  async function incidentsAreAcknowledged(): Promise<void> {
    const incidentId = crypto.randomUUID();
    const incident = { id: incidentId, ruleId: crypto.randomUUID(), condition: 'host.unreachable', subject: { kind: 'host' as const, id: crypto.randomUUID(), name: 'host1' }, severity: 'critical' as const };
    await insertIncidents(cloud.portal.deps.db, [{ ...incident, sentence: say('alerts.said.host.unreachable', { subject: 'host1', reason: 'no route' }), openedAt: Date.now() }], Date.now());
    const { items, total } = await admin.ok<Page<{ id: string; text: string }>>('GET', '/incidents?state=open&severity=critical&kind=host');
    assert.deepEqual([total, items[0]?.id, items[0]?.text], [1, incidentId, 'Host host1 does not answer: no route']);
    await user.refused(403, 'POST', `/incidents/${incidentId}/acknowledge`);
    const taken = await admin.ok<{ state: string; note: string; acknowledgedBy: string }>('POST', `/incidents/${incidentId}/acknowledge`, { body: { note: 'a cable' } });
    assert.deepEqual([taken.state, taken.note, taken.acknowledgedBy], ['acknowledged', 'a cable', cloud.admin.id]);
    await admin.refused(409, 'POST', `/incidents/${incidentId}/acknowledge`);
    assert.equal((await admin.ok<{ state: string }>('GET', `/incidents/${incidentId}`)).state, 'acknowledged');
    await admin.refused(404, 'GET', `/incidents/${crypto.randomUUID()}`);
  }

  async function firstInstance(): Promise<Instance> {
    const { items: [first] } = await user.ok<Page<Instance>>('GET', '/instances?search=first');
    assert.ok(first !== undefined);
    return first;
  }
});
