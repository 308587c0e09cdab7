// Hosts lose their power: what ran there runs again, once.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { reconcileHost } from '../../src/operations/reconcile.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { createMoveCloud, move } from '../helpers/moves.ts';

it('a machine that was moving when all hosts lost their power is started again at home', async (t) => {
  const cloud = await createMoveCloud({ migrationMs: 60_000 });
  t.after(() => cloud.close());
  cloud.startRunner({ times: { waitForHostMs: 20_000, retryMs: 60, connectMs: 300 } });
  const instance = await cloud.running();
  const { operation } = await move(cloud, instance);
  const isMoving = async (): Promise<boolean> => (await cloud.db.query("SELECT id FROM moves WHERE id = ? AND phase = 'memory'", [operation.id])).length > 0;
  for (const deadline = Date.now() + 5000; !(await isMoving()); await delay(20)) assert.ok(Date.now() < deadline, 'it moves');
  await Promise.all(cloud.fakes.map((fake) => fake.powerOff()));
  await delay(300);
  await Promise.all(cloud.fakes.map((fake) => fake.powerOn()));
  assert.equal((await cloud.ended(operation.id)).state, 'failed');
  for (const host of await selectHosts(cloud.db)) await reconcileHost(cloud.deps, host);
  for (const deadline = Date.now() + 5000; (await cloud.instance(instance.id)).operationId !== null; await delay(20)) assert.ok(Date.now() < deadline, 'it is started');
  const after = await cloud.instance(instance.id);
  assert.deepEqual([after.state, after.hostId], ['running', instance.hostId]);
  await cloud.checkBooks();
});

it('one whose record is wrong about its host is not started where it does not run', async (t) => {
  const cloud = await createMoveCloud();
  t.after(() => cloud.close());
  cloud.startRunner();
  const instance = await cloud.running();
  const [home, other] = [0, 1].map((index) => cloud.fakes[(cloud.hostIds.indexOf(instance.hostId ?? '') + index) % 2]);
  const xml = home?.domains.get(instance.id)?.live.xml ?? '';
  const connection = cloud.deps.hosts.host(instance.hostId ?? '');
  await home?.powerOff();
  for (const deadline = Date.now() + 5000; connection.status.state === 'up'; await delay(10)) assert.ok(Date.now() < deadline, 'its silence is noticed');
  // no lock keeps it from being started twice: it stands on another file
  other?.host.define(xml.replaceAll('/srv/default/', '/elsewhere/'));
  await other?.host.create(instance.id, false);
  await home?.powerOn();
  await connection.ready({ timeoutMs: 10_000 });
  for (const host of await selectHosts(cloud.db)) await reconcileHost(cloud.deps, host);
  await delay(300);
  assert.deepEqual(cloud.fakes.map(({ domains }) => domains.get(instance.id)?.isActive), cloud.fakes.map((fake) => fake === other));
  assert.deepEqual([(await cloud.instance(instance.id)).state, (await cloud.instance(instance.id)).operationId], ['stopped', null]);
});
