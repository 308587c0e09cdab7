// Moves, and what befalls hosts, through the API: by an administrator, on two fake hosts with one shared pool.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { say } from '../../src/errors.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { emptyReport } from '../../src/model/recovery.ts';
import { claimHostRecovery } from '../../src/store/recoveries.ts';
import { insertSuggestion } from '../../src/store/suggestions.ts';
import type { Asker } from './checked-client.ts';
import { needsTwoHosts, startTestCloud, type TestCloud } from './cloud.ts';

interface Place { id: string; name: string }
interface Move { id: string; state: string; from: Place; to: Place; why: string; downtimeMs: number | null; transferredBytes: number | null; endedAt: string | null; kind: string; trigger: string }
interface Page<T> { items: T[]; total: number }
interface Instance { id: string; state: string; host: Place; ha: boolean; priority: string; antiAffinity: string | null; movedAt: string | null; operation: unknown }

describe('moves through the API', () => {
  let cloud: TestCloud;
  let user: Asker;
  let other: Asker;
  let admin: Asker;
  let ids: string[];
  before(async () => {
    cloud = await startTestCloud({ hosts: 2 });
    [user, other, admin] = await Promise.all([cloud.user, cloud.other, cloud.admin].map((person) => cloud.api.token(person.id))) as [Asker, Asker, Asker];
    ids = [await running('one'), await running('two')];
  });
  after(() => cloud.close());

  async function running(name: string): Promise<string> {
    const { instance } = await submitInstanceCreate(cloud.portal.deps.operations, { user: cloud.user, name, image: cloud.image, size: { vcpus: 1, memoryMib: 256, diskGib: 2 }, sshKey: '', userData: '' });
    await until(async () => { const now = await selectOptionalInstance(cloud.portal.deps.db, instance.id); return now?.state === 'running' && now.operationId === null; });
    return instance.id;
  }
  async function until(condition: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 20_000; !(await condition()); await delay(30)) assert.ok(Date.now() < end, 'not within 20 s');
  }
  const moveEnded = async (id: string): Promise<Move> => {
    await until(async () => (await admin.ok<Move>('GET', `/moves/${id}`)).endedAt !== null);
    return admin.ok<Move>('GET', `/moves/${id}`);
  };
  const instanceOf = (id: string): Promise<Instance> => admin.ok<Instance>('GET', `/instances/${id}`);
  const hostsById = async (): Promise<{ id: string; name: string; status: string; wish: string; state: string }[]> => (await admin.ok<Page<{ id: string; name: string; status: string; wish: string; state: string }>>('GET', '/hosts')).items;

  it('are foreseen without changing anything', async () => {
    const before = await instanceOf(ids[0] ?? '');
    const check = await admin.ok<{ host: Place | null; live: boolean; withDisk: boolean; obstacles: { text: string }[] }>('GET', `/moves/check?instanceId=${ids[0]}`);
    assert.deepEqual([check.obstacles, check.live, check.withDisk, check.host?.id !== before.host.id], [[], true, false, true]);
    const nowhere = await admin.ok<{ host: Place | null; obstacles: { text: string }[] }>('GET', `/moves/check?instanceId=${ids[0]}&toHostId=${before.host.id}`);
    assert.equal(nowhere.host, null);
    assert.ok((nowhere.obstacles[0]?.text.length ?? 0) > 5);
    assert.ok((await admin.refused(422, 'GET', `/moves/check?instanceId=${crypto.randomUUID()}`)).fields?.['instanceId']);
    assert.deepEqual(await instanceOf(ids[0] ?? ''), { ...before, ...(await instanceOf(ids[0] ?? '')) });
    assert.equal((await admin.ok<Page<Move>>('GET', '/moves')).total, 0);
  });

  it('are asked for by an administrator, watched, and told to the owner in full', async () => {
    const before = await instanceOf(ids[0] ?? '');
    const answer = await admin.call('POST', '/moves', { body: { instanceIds: [ids[0]], why: 'a new power supply' } });
    const { items: [started] } = answer.body as { items: { move: Move | null }[] };
    const id = started?.move?.id ?? assert.fail('not started');
    assert.equal(answer.headers.get('location'), `/api/v1/moves/${id}`);
    const move = await moveEnded(id);
    assert.deepEqual([move.state, move.kind, move.trigger, move.why, move.downtimeMs], ['done', 'live', 'admin', 'a new power supply', 45]);
    const after = await instanceOf(ids[0] ?? '');
    assert.deepEqual([after.host, after.state, after.movedAt === null], [move.to, 'running', false]);
    assert.notEqual(after.host.id, before.host.id);
    const { items } = await user.ok<Page<Move>>('GET', `/instances/${ids[0]}/moves`);
    assert.deepEqual(items.map((each) => [each.id, each.downtimeMs]), [[id, 45]]);
    await other.refused(404, 'GET', `/instances/${ids[0]}/moves`);
    assert.equal((await admin.ok<Page<Move>>('GET', `/moves?state=done&instanceId=${ids[0]}&hostId=${before.host.id}`)).total, 1);
  });

  it('are asked for once with one Idempotency-Key', async () => {
    const body = { instanceIds: [ids[1]] };
    const first = await admin.call('POST', '/moves', { body, headers: { 'idempotency-key': 'move-1' } });
    const second = await admin.call('POST', '/moves', { body, headers: { 'idempotency-key': 'move-1' } });
    assert.deepEqual([second.body, second.headers.get('idempotency-replayed')], [first.body, 'true']);
    const { items: [item] } = first.body as { items: { move: Move }[] };
    assert.equal((await moveEnded(item?.move.id ?? '')).state, 'done');
    assert.equal((await admin.ok<Page<Move>>('GET', `/moves?instanceId=${ids[1]}`)).total, 1);
    // as if the portal had died between asking for it and keeping the answer
    await cloud.portal.deps.db.execute("UPDATE idempotency_keys SET status = NULL, response = NULL, claimed_until = 0 WHERE idempotency_key = 'move-1'");
    const third = await admin.ok<{ items: { move: Move }[] }>('POST', '/moves', { body, headers: { 'idempotency-key': 'move-1' } });
    assert.deepEqual([third.items[0]?.move.id, third.items[0]?.move.state], [item?.move.id, 'done']);
    assert.equal((await admin.ok<Page<Move>>('GET', `/moves?instanceId=${ids[1]}`)).total, 1);
  });

  it('of several go on although one is refused; a refusal of the only one is an error', async () => {
    const [first = '', second = ''] = ids;
    const { host } = await instanceOf(first);
    const elsewhere = (await hostsById()).find((each) => each.id !== host.id)?.id;
    // one is off and can move; the other one is being shut down meanwhile
    await cloud.portal.deps.db.execute("UPDATE instances SET operation_id = ?, operation_kind = 'instance-start' WHERE id = ?", [crypto.randomUUID(), second]);
    try {
      const { items } = await admin.ok<{ items: { instanceId: string; move: Move | null; refusal: string | null }[] }>('POST', '/moves', { body: { instanceIds: [first, second, first], toHostId: elsewhere } });
      assert.deepEqual(items.map((item) => [item.instanceId, item.move !== null, item.refusal !== null]), [[first, true, false], [second, false, true]]);
      await moveEnded(items[0]?.move?.id ?? '');
      assert.equal((await admin.refused(409, 'POST', '/moves', { body: { instanceIds: [second] } })).kind, 'conflict');
    } finally {
      await cloud.portal.deps.db.execute('UPDATE instances SET operation_id = NULL, operation_kind = NULL WHERE id = ?', [second]);
    }
    assert.ok((await admin.refused(422, 'POST', '/moves', { body: { instanceIds: [crypto.randomUUID()] } })).fields?.['instanceIds']);
    assert.ok((await admin.refused(422, 'POST', '/moves', { body: { instanceIds: [first], toHostId: crypto.randomUUID() } })).fields?.['toHostId']);
    assert.ok((await admin.refused(422, 'POST', '/moves', { body: { instanceIds: [] } })).fields?.['instanceIds']);
  });

  it('are cancelled by administrators, not by owners, and leave the machine where it was', async () => {
    for (const host of cloud.hosts) host.host.migrationMs = 20_000;
    try {
      const before = await instanceOf(ids[0] ?? '');
      const { items: [item] } = await admin.ok<{ items: { move: Move }[] }>('POST', '/moves', { body: { instanceIds: [ids[0]] } });
      const id = item?.move.id ?? '';
      await until(async () => (await admin.ok<Move & { phase: string | null }>('GET', `/moves/${id}`)).phase === 'memory');
      assert.equal((await user.refused(403, 'POST', `/operations/${id}/cancel`)).kind, 'forbidden');
      await user.refused(403, 'POST', `/moves/${id}/cancel`);
      await admin.ok('POST', `/moves/${id}/cancel`);
      assert.equal((await moveEnded(id)).state, 'cancelled');
      const after = await instanceOf(ids[0] ?? '');
      assert.deepEqual([after.host, after.state, after.operation], [before.host, 'running', null]);
    } finally {
      for (const host of cloud.hosts) host.host.migrationMs = 200;
    }
  });

  it('are suggested: taken up, or turned down', async () => {
    const { db } = cloud.portal.deps;
    const { host } = await instanceOf(ids[0] ?? '');
    const to = (await hostsById()).find((each) => each.id !== host.id)?.id ?? '';
    const suggest = async (): Promise<string> => {
      const id = crypto.randomUUID();
      await insertSuggestion(db, { id, instanceId: ids[0] ?? '', fromHostId: host.id, toHostId: to, why: say('moves.why.admin'), gainPercent: 12, createdAt: Date.now() });
      return id;
    };
    const [first, second] = [await suggest(), await suggest()];
    const { items } = await admin.ok<Page<{ id: string; instance: Place; gainPercent: number }>>('GET', '/suggestions');
    assert.deepEqual(items.map(({ instance, gainPercent }) => [instance.name, gainPercent]), [['one', 12], ['one', 12]]);
    await admin.ok('POST', `/suggestions/${first}/dismiss`);
    await admin.refused(409, 'POST', `/suggestions/${first}/dismiss`);
    await user.refused(403, 'POST', `/suggestions/${second}/apply`);
    const apply = (): Promise<Move> => admin.ok<Move>('POST', `/suggestions/${second}/apply`, { headers: { 'idempotency-key': 'apply-second' } });
    const move = await apply();
    assert.equal(move.trigger, 'balancing');
    // its portal died before it could keep the answer
    await db.execute("UPDATE idempotency_keys SET status = NULL, response = NULL, claimed_until = 0 WHERE idempotency_key = 'apply-second'");
    assert.equal((await apply()).id, move.id);
    assert.equal((await moveEnded(move.id)).state, 'done');
    await admin.refused(409, 'POST', `/suggestions/${second}/apply`);
    assert.equal((await admin.ok<Page<unknown>>('GET', '/suggestions')).total, 0);
  });

  it('empty a host for its maintenance, and bring back what left', async () => {
    const { host } = await instanceOf(ids[0] ?? '');
    const drain = await admin.ok<{ id: string; kind: string }>('POST', `/hosts/${host.id}/maintenance`);
    assert.equal(drain.kind, 'host-drain');
    await until(async () => ['done', 'failed'].includes((await admin.ok<{ state: string }>('GET', `/operations/${drain.id}`)).state));
    assert.notEqual((await instanceOf(ids[0] ?? '')).host.id, host.id);
    const closed = (await hostsById()).find((each) => each.id === host.id);
    assert.deepEqual([closed?.status, closed?.wish, closed?.state], ['maintenance', 'maintenance', 'up']);
    assert.ok((await admin.ok<Page<Move>>('GET', `/moves?batchId=${drain.id}`)).total >= 1);
    const back = await admin.ok<{ id: string }>('POST', `/hosts/${host.id}/return`);
    await until(async () => ['done', 'failed'].includes((await admin.ok<{ state: string }>('GET', `/operations/${back.id}`)).state));
    assert.equal((await instanceOf(ids[0] ?? '')).host.id, host.id);
  });

  it('stand beside what a failure of a host would mean', async () => {
    const loss = await admin.ok<{ verdict: string; enabled: boolean; hosts: { host: Place; restarts: number; unfit: unknown[] }[] }>('GET', '/n-minus-1');
    assert.deepEqual([loss.verdict, loss.enabled, loss.hosts.length, loss.hosts.reduce((sum, { restarts }) => sum + restarts, 0)], ['safe', true, 2, 2]);
    assert.equal((await admin.ok<Page<unknown>>('GET', '/recoveries')).total, 0);
    await admin.refused(404, 'GET', `/recoveries/${crypto.randomUUID()}`);
    const [host] = await hostsById();
    const id = crypto.randomUUID();
    const report = { ...emptyReport, owed: 3, restarted: 2, unfit: [{ instanceId: crypto.randomUUID(), name: 'large', reason: say('moves.new.no-host') }], unfitInAll: 1 };
    await claimHostRecovery(cloud.portal.deps.db, { id, hostId: host?.id ?? '', hostName: 'host1', drill: false, userId: null, forced: false, confirmedBy: null, seenAt: Date.now(), noticedAt: Date.now(), report });
    const recovery = await admin.ok<{ state: string; owed: number; unfit: { name: string; reason: string }[] }>('GET', `/recoveries/${id}`);
    assert.deepEqual([recovery.state, recovery.owed, recovery.unfit.map(({ name, reason }) => [name, reason])], ['confirming', 3, [['large', 'No other host takes it.']]]);
  });

  it('and burn-ins are begun and kept', async () => {
    const [host] = await hostsById();
    const { id, kind } = await admin.ok<{ id: string; kind: string }>('POST', `/hosts/${host?.id}/burn-ins`);
    assert.equal(kind, 'host-burn-in');
    assert.deepEqual((await admin.ok<Page<{ id: string }>>('GET', `/hosts/${host?.id}/burn-ins`)).items.map((each) => each.id), [id]);
  });

  it('have been through every endpoint of theirs', async () => {
    await admin.ok('PATCH', `/instances/${ids[0]}`, { body: { antiAffinity: 'g' } });
    assert.deepEqual(cloud.api.endpoints.filter(needsTwoHosts).map((endpoint) => endpoint.id).filter((each) => !cloud.api.seen.has(each)), []);
  });
});

describe('what an owner wishes for a failure', () => {
  let cloud: TestCloud;
  let user: Asker;
  let admin: Asker;
  before(async () => {
    cloud = await startTestCloud({ runner: false });
    [user, admin] = await Promise.all([cloud.user, cloud.admin].map((person) => cloud.api.token(person.id))) as [Asker, Asker];
  });
  after(() => cloud.close());

  const create = async (name: string, more: object = {}): Promise<Instance> => {
    const { instanceId } = await user.ok<{ instanceId: string }>('POST', '/instances', { body: { name, imageId: cloud.image.id, vcpus: 1, memoryMib: 256, diskGib: 2, ...more } });
    return user.ok<Instance>('GET', `/instances/${instanceId}`);
  };
  const wish = ({ ha, priority, antiAffinity }: Instance): unknown[] => [ha, priority, antiAffinity];

  it('is what the cloud’s settings say unless something is asked for', async () => {
    assert.deepEqual(wish(await create('plain')), [true, 'normal', null]);
    assert.deepEqual(wish(await create('asked', { ha: false, priority: 'low', antiAffinity: 'Web' })), [false, 'low', 'web']);
  });

  it('is changed later, field by field', async () => {
    const { id } = await create('changing');
    const patch = async (body: object): Promise<unknown[]> => wish(await user.ok<Instance>('PATCH', `/instances/${id}`, { body }));
    assert.deepEqual(await patch({ ha: false }), [false, 'normal', null]);
    assert.deepEqual(await patch({ antiAffinity: 'db' }), [false, 'normal', 'db']);
    assert.deepEqual(await patch({ antiAffinity: null, priority: 'low' }), [false, 'low', null]);
    assert.deepEqual(await patch({}), [false, 'low', null]);
    for (const [field, value] of [['antiAffinity', '-x-'], ['antiAffinity', 'x'.repeat(33)], ['priority', 'highest'], ['ha', 'yes']] as const) {
      assert.ok((await user.refused(422, 'PATCH', `/instances/${id}`, { body: { [field]: value } })).fields?.[field], `${field} ${value}`);
    }
  });

  it('has a first turn only from an administrator, and keeps it', async () => {
    assert.ok((await user.refused(422, 'POST', '/instances', { body: { name: 'eager', imageId: cloud.image.id, vcpus: 1, memoryMib: 256, diskGib: 2, priority: 'high' } })).fields?.['priority']);
    const { id } = await create('important');
    assert.ok((await user.refused(422, 'PATCH', `/instances/${id}`, { body: { priority: 'high' } })).fields?.['priority']);
    await admin.ok('PATCH', `/instances/${id}`, { body: { priority: 'high' } });
    assert.deepEqual(wish(await user.ok<Instance>('PATCH', `/instances/${id}`, { body: { ha: true } })), [true, 'high', null]);
  });
});
