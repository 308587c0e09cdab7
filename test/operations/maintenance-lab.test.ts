// A real host is emptied of machines that run, one of them with its disk in the host's own pool, and of one that is off;
// then all of them come back.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Instance } from '../../src/model/instance.ts';
import { submitHostDrain } from '../../src/operations/host-drain.ts';
import { submitHostReturn } from '../../src/operations/host-return.ts';
import { watchEvents, type EventWatch } from '../../src/operations/watch-events.ts';
import { selectHost, updateHost } from '../../src/store/hosts.ts';
import { selectInstancesByHost } from '../../src/store/instances.ts';
import { selectLeftBehind } from '../../src/store/left-behind.ts';
import { selectMovesByBatch } from '../../src/store/moves.ts';
import { createLabCloud, type LabCloud } from '../helpers/lab-cloud.ts';
import { startLab } from '../helpers/lab.ts';
import { needsRoot } from '../scripts/run.ts';

const endsWithinMs = 120_000;

describe('the maintenance of a real host', { skip: needsRoot, timeout: 400_000 }, () => {
  let cloud: LabCloud;
  let watch: EventWatch;
  let instances: Instance[];
  before(async () => {
    cloud = await createLabCloud(await startLab({ hosts: 3, ttlSeconds: 600 }));
    watch = watchEvents(cloud.deps);
    cloud.startRunner();
    for (const id of cloud.hostIds.slice(1)) await updateHost(cloud.db, id, { wish: 'disabled' });
    instances = [await cloud.running(), await cloud.running(), await cloud.running(cloud.images.local), await cloud.running()];
    await cloud.ended((await cloud.act(instances[3]?.id ?? '', 'force-off')).id);
    for (const id of cloud.hostIds.slice(1)) await updateHost(cloud.db, id, { wish: 'enabled' });
  });
  after(async () => {
    await watch?.stop();
    await cloud?.close();
    await cloud?.lab.stop();
  });

  it('leaves it empty, with every machine elsewhere and once', async (t) => {
    const { id } = await submitHostDrain(cloud.deps, await selectHost(cloud.db, cloud.hostIds[0] ?? ''), cloud.user);
    const operation = await cloud.ended(id, endsWithinMs);
    assert.deepEqual([operation.state, await selectLeftBehind(cloud.db, id)], ['done', []]);
    const moves = await selectMovesByBatch(cloud.db, id);
    assert.deepEqual(moves.map(({ state, error }) => [state, error]), instances.map(() => ['done', null]));
    assert.deepEqual(moves.map(({ kind, withDisk }) => `${kind}${withDisk ? ' with disk' : ''}`).sort(), ['live', 'live', 'live with disk', 'offline']);
    t.diagnostic(`emptied in ${(operation.endedAt ?? 0) - operation.createdAt} ms; pauses ${moves.map(({ downtimeMs }) => downtimeMs).join(', ')} ms`);
    assert.deepEqual(await selectInstancesByHost(cloud.db, cloud.hostIds[0] ?? ''), []);
    await eachRunsOnce(instances.slice(0, 3));
    assert.equal((await cloud.lab.exec(1, 'sh', '-c', "ps ax | grep -c '[q]emu-system' || true")).trim(), '0');
  });

  it('brings all of them back', async () => {
    const { id } = await submitHostReturn(cloud.deps, await selectHost(cloud.db, cloud.hostIds[0] ?? ''), cloud.user);
    assert.equal((await cloud.ended(id, endsWithinMs)).state, 'done');
    assert.equal((await selectInstancesByHost(cloud.db, cloud.hostIds[0] ?? '')).length, instances.length);
    await eachRunsOnce(instances.slice(0, 3));
    await cloud.ended((await cloud.act(instances[3]?.id ?? '', 'start')).id);
    await eachRunsOnce(instances);
  });

  async function eachRunsOnce(those: readonly Instance[]): Promise<void> {
    for (const { id } of those) {
      const { hostId, state, operationId } = await cloud.instance(id);
      assert.deepEqual([state, operationId], ['running', null]);
      assert.deepEqual(await cloud.processesOf(id), [cloud.hostIds.indexOf(hostId ?? '') + 1]);
    }
  }
});
