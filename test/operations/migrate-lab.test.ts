// Moves between real hosts over TLS, and what can befall them in the middle, in random order. MIGRATE_LAB_ROUNDS rounds of
// all of it (one by default); MIGRATE_LAB_SEED repeats an order.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from '../../src/model/instance.ts';
import { isEnded, type Operation } from '../../src/model/operation.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { requestCancel } from '../../src/operations/cancel.ts';
import { submitMove, type SubmittedMove } from '../../src/operations/instance-migrate.ts';
import { reconcileHost } from '../../src/operations/reconcile.ts';
import type { Runner } from '../../src/operations/runner.ts';
import { selectHost } from '../../src/store/hosts.ts';
import { selectMove } from '../../src/store/moves.ts';
import { selectOperation } from '../../src/store/operations.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { createLabCloud, type LabCloud } from '../helpers/lab-cloud.ts';
import { startLab } from '../helpers/lab.ts';
import { needsRoot } from '../scripts/run.ts';
import { forkDoomedPortal, type Doom } from './doomed-portal-process.ts';

const rounds = Number(process.env['MIGRATE_LAB_ROUNDS'] ?? 1);
const seed = Number(process.env['MIGRATE_LAB_SEED'] ?? Date.now() % 1_000_000);

/** QEMU that is not root may use it only where the administrator allows it (docs/admin.md). */
const noPostCopy = await readFile('/proc/sys/vm/unprivileged_userfaultfd', 'utf8').catch(() => '0') === '1\n' ? false : 'vm.unprivileged_userfaultfd is 0: no post-copy here';

/** mulberry32 */
function random(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe(`moves between real hosts (seed ${seed})`, { skip: needsRoot, timeout: 300_000 + (rounds - 1) * 120_000 }, () => {
  const next = random(seed);
  let cloud: LabCloud;
  let runner: Runner;
  let instance: Instance;
  before(async () => {
    const lab = await startLab({ hosts: 2, ttlSeconds: 600 + rounds * 180 });
    cloud = await createLabCloud(lab);
    runner = cloud.startRunner();
    // long enough to do something in the middle
    await updateSettings(cloud.db, 'migration', { ...defaultSettings.migration, bandwidthMib: 8 }, null, Date.now());
    instance = await cloud.running();
    await cloud.booted(instance);
  });
  after(async () => {
    await cloud?.close();
    await cloud?.lab.stop();
  });

  const numberOf = (of: Instance): number => cloud.hostIds.indexOf(of.hostId ?? '') + 1;
  const move = async (): Promise<SubmittedMove & { readonly from: number; readonly to: number }> => {
    instance = await cloud.instance(instance.id);
    const from = numberOf(instance);
    const toHostId = cloud.hostIds[2 - from] ?? null;
    return { ...(await submitMove(cloud.deps, { instance, toHostId, trigger: 'admin', why: { key: 'moves.why.admin' }, actor: null })), from, to: 3 - from };
  };
  const begun = async (id: string, bytes = 1): Promise<void> => {
    for (const deadline = Date.now() + 60_000; ((await selectMove(cloud.db, id)).transferredBytes ?? 0) < bytes; await delay(50)) {
      if (Date.now() > deadline) assert.fail(`not begun: ${JSON.stringify(await selectOperation(cloud.db, id))}`);
    }
  };

  /** What must hold after everything: one process on the host of the record, or none when it is off; nothing held. */
  async function expectOne(operation: Operation): Promise<Instance> {
    const found = await cloud.instance(instance.id);
    assert.equal(found.operationId, null);
    const states = (await cloud.lab.status()).hosts.map(({ state }) => state);
    assert.deepEqual(states, ['up', 'up']);
    assert.deepEqual(await cloud.processesOf(instance.id), found.state === 'running' ? [numberOf(found)] : [], `${operation.state}, recorded as ${found.state} on host ${numberOf(found)}`);
    const sums = await cloud.db.query<{ used: number; sum: string }>(
      'SELECT used_memory_mib AS used, (SELECT COALESCE(SUM(memory_mib), 0) FROM instances WHERE host_id = hosts.id) AS sum FROM hosts',
    );
    for (const { used, sum } of sums) assert.equal(used, Number(sum), 'reserved is what is there');
    return found;
  }

  /** The next scenario begins with a machine that runs. */
  async function runAgain(found: Instance): Promise<void> {
    if (found.state === 'running') return;
    assert.equal((await cloud.ended((await cloud.act(found.id, 'start')).id)).state, 'done');
    await cloud.booted(await cloud.instance(found.id));
  }

  const scenarios: Readonly<Record<string, () => Promise<void>>> = {
    'the target loses its power': async () => {
      const { operation, from, to } = await move();
      await begun(operation.id);
      await cloud.lab.kill(to);
      await delay(1500);
      assert.deepEqual(await cloud.processesOf(instance.id), [from]);
      await cloud.lab.start(to);
      assert.equal((await cloud.ended(operation.id)).state, 'failed');
      assert.deepEqual([(await cloud.instance(instance.id)).state, numberOf(await cloud.instance(instance.id))], ['running', from]);
    },
    'the source loses its power': async () => {
      const { operation, from } = await move();
      await begun(operation.id);
      await cloud.lab.kill(from);
      await delay(1500);
      await cloud.lab.start(from);
      assert.equal((await cloud.ended(operation.id)).state, 'failed');
      // whoever compares hosts with records sees that it went off with its host, and starts it there
      await reconcileHost(cloud.deps, await selectHost(cloud.db, cloud.hostIds[from - 1] ?? ''));
      for (const deadline = Date.now() + 60_000; (await cloud.instance(instance.id)).operationId !== null; await delay(50)) assert.ok(Date.now() < deadline, 'it is started');
      const after = await cloud.instance(instance.id);
      assert.deepEqual([after.state, numberOf(after)], ['running', from]);
      await cloud.booted(after);
    },
    'the target is cut off for a while': async () => {
      const { operation, to } = await move();
      await begun(operation.id);
      await cloud.lab.cut(to);
      await delay(2000 + next() * 4000);
      await cloud.lab.join(to);
      await cloud.ended(operation.id, 90_000);
    },
    'the target hangs for a while': async () => {
      const { operation, to } = await move();
      await begun(operation.id);
      await cloud.lab.freeze(to);
      await delay(1000 + next() * 3000);
      await cloud.lab.thaw(to);
      await cloud.ended(operation.id, 90_000);
    },
    'the portal is killed': async () => {
      await runner.stop();
      const { operation, to } = await move();
      const child = forkDoomedPortal();
      const doom: Doom = { databaseUrl: cloud.url, hosts: cloud.lab.hosts.map(({ uri }, index) => ({ id: cloud.hostIds[index] ?? '', uri })), points: [] };
      child.send(doom);
      await begun(operation.id);
      child.kill('SIGKILL');
      await once(child, 'exit');
      // before the hosts are done, or after
      await delay(next() * 6000);
      // longer than a lease
      cloud.time.ahead += 16_000;
      runner = cloud.startRunner();
      assert.equal((await cloud.ended(operation.id)).state, 'done');
      assert.equal(numberOf(await cloud.instance(instance.id)), to);
      assert.ok(((await selectMove(cloud.db, operation.id)).downtimeMs ?? 0) > 0);
    },
    'it is cancelled while memory is sent': async () => {
      const { operation, from } = await move();
      await begun(operation.id);
      await requestCancel(cloud.deps, await selectOperation(cloud.db, operation.id));
      assert.equal((await cloud.ended(operation.id)).state, 'cancelled');
      assert.equal(numberOf(await cloud.instance(instance.id)), from);
    },
    'it is cancelled at some moment': async () => {
      const { operation, from, to } = await move();
      await delay(next() * 7000);
      await requestCancel(cloud.deps, await selectOperation(cloud.db, operation.id)).catch(() => undefined);
      const ended = await cloud.ended(operation.id);
      assert.equal(numberOf(await cloud.instance(instance.id)), ended.state === 'done' ? to : from);
    },
    'nothing': async () => {
      const { operation, to } = await move();
      assert.deepEqual([(await cloud.ended(operation.id)).error], [null]);
      assert.equal(numberOf(await cloud.instance(instance.id)), to);
    },
  };

  for (let round = 1; round <= rounds; round++) {
    for (const name of Object.keys(scenarios).map((each) => ({ each, key: next() })).sort((a, b) => a.key - b.key).map(({ each }) => each)) {
      it(`round ${round}: ${name}`, async () => {
        await scenarios[name]?.();
        const [last] = await cloud.db.query<{ id: string }>('SELECT id FROM moves ORDER BY created_at DESC LIMIT 1');
        await runAgain(await expectOne(await selectOperation(cloud.db, last?.id ?? '')));
      });
    }
  }

  it('one that takes too long goes on at the target and fetches the rest (post-copy)', { skip: noPostCopy }, async () => {
    // 4 MiB a second: what is left after two seconds is most of it
    await updateSettings(cloud.db, 'migration', { ...defaultSettings.migration, bandwidthMib: 4, postCopyAfterSeconds: 2 }, null, Date.now());
    const { operation, to } = await move();
    const phases = new Set<string | null>();
    for (let open = true; open; await delay(50)) {
      const [{ phase }, { state }] = await Promise.all([selectMove(cloud.db, operation.id), selectOperation(cloud.db, operation.id)]);
      phases.add(phase);
      open = !isEnded(state);
    }
    assert.deepEqual([(await cloud.ended(operation.id)).error], [null]);
    assert.ok(phases.has('post-copy'), [...phases].join());
    assert.equal(numberOf(await expectOne(await selectOperation(cloud.db, operation.id))), to);
  });

  it('with its disk, running and off, it is the same machine', async () => {
    await updateSettings(cloud.db, 'migration', { ...defaultSettings.migration }, null, Date.now());
    instance = await cloud.running(cloud.images.local);
    for (const state of ['running', 'stopped'] as const) {
      if (state === 'stopped') await cloud.ended((await cloud.act(instance.id, 'force-off')).id);
      const { operation, from, to } = await move();
      assert.deepEqual([(await cloud.ended(operation.id)).error], [null]);
      const found = await cloud.instance(instance.id);
      assert.deepEqual([found.state, numberOf(found)], [state, to]);
      const files = async (number: number): Promise<string> => cloud.lab.exec(number, 'sh', '-c', `ls ${cloud.lab.localPoolPath} | grep ${instance.id} || true`);
      assert.deepEqual([(await files(to)).trim(), (await files(from)).trim()], [`${instance.id}.qcow2`, '']);
    }
    await cloud.lab.exec(numberOf(await cloud.instance(instance.id)), 'qemu-img', 'check', `${cloud.lab.localPoolPath}/${instance.id}.qcow2`);
    assert.equal((await cloud.ended((await cloud.act(instance.id, 'start')).id)).state, 'done');
  });
});
