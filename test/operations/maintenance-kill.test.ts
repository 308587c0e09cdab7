// kill -9 of the portal at every step of an emptying and of a return, before the step, after it, and while they are undone:
// the next portal goes on, every instance runs once, and nothing is forgotten.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import type { Operation } from '../../src/model/operation.ts';
import { requestCancel } from '../../src/operations/cancel.ts';
import { hostDrain } from '../../src/operations/host-drain.ts';
import { hostReturn } from '../../src/operations/host-return.ts';
import { watchEvents, type EventWatch } from '../../src/operations/watch-events.ts';
import { selectInstancesByHost } from '../../src/store/instances.ts';
import { selectMovesByBatch, selectOpenMoves } from '../../src/store/moves.ts';
import { selectOperation } from '../../src/store/operations.ts';
import type { Cloud } from '../helpers/cloud.ts';
import { killProcess } from '../helpers/kill-process.ts';
import { bringBack, drain, fill, setWish, threeHosts, until, type Hosts } from '../helpers/maintenance.ts';
import { forkDoomedPortal, type Doom, type KillPoint } from './doomed-portal-process.ts';

/** longer than a lease */
const leaseEndedMs = 16_000;

describe('a portal killed', () => {
  let cloud: Cloud;
  let hosts: Hosts;
  let watch: EventWatch;
  before(async () => {
    ({ cloud, hosts } = await threeHosts());
    watch = watchEvents(cloud.deps);
    const runner = cloud.startRunner();
    await fill(cloud, hosts.a, 3);
    await runner.stop();
  });
  after(async () => {
    await watch.stop();
    await cloud.close();
  });

  /** Another process takes the work up, and is killed at that point. */
  async function runAndKill(point: KillPoint, meanwhile: () => Promise<void> = async () => undefined): Promise<void> {
    const child: ChildProcess = forkDoomedPortal();
    let reached = false;
    child.on('message', () => { reached = true; });
    const doom: Doom = { databaseUrl: cloud.url, hosts: cloud.hostIds.map((id, index) => ({ id, uri: cloud.fakes[index]?.uri ?? '' })), points: [point] };
    child.send(doom);
    try {
      await meanwhile();
      await until(`${point.when} ${point.step}`, async () => reached);
    } finally {
      await killProcess(child);
    }
  }

  /** The next portal, when the leases of the dead one have ended; `then` before the last moves end. */
  async function goOn(operationId: string, then: () => void = () => undefined): Promise<Operation> {
    cloud.time.ahead += leaseEndedMs;
    const runner = cloud.startRunner();
    const operation = await cloud.ended(operationId);
    then();
    await until('all moves have ended', async () => (await selectOpenMoves(cloud.db)).length === 0);
    await runner.stop();
    await cloud.checkBooks();
    return operation;
  }

  for (const [index, { name: step }] of hostDrain.steps.entries()) {
    for (const when of ['before', 'after'] as const) {
      it(`${when} step ${index + 1} of an emptying and of the return`, async () => {
        const away = await drain(cloud, hosts.a);
        await runAndKill({ operationId: away.id, step, when, direction: 'run' });
        assert.equal((await goOn(away.id)).state, 'done');
        assert.deepEqual(await selectInstancesByHost(cloud.db, hosts.a), []);
        assert.equal((await selectMovesByBatch(cloud.db, away.id)).length, 3, 'nothing was moved twice');

        const back = await bringBack(cloud, hosts.a);
        await runAndKill({ operationId: back.id, step: hostReturn.steps[index]?.name ?? '', when, direction: 'run' });
        assert.equal((await goOn(back.id)).state, 'done');
        assert.equal((await selectInstancesByHost(cloud.db, hosts.a)).length, 3);
      });
    }
  }

  for (const when of ['before', 'after'] as const) {
    it(`${when} a cancelled emptying is undone`, async () => {
      const goOnMoving = cloud.fake.host.migrations.hold('perform');
      const away = await drain(cloud, hosts.a);
      await runAndKill({ operationId: away.id, step: 'submit-moves', when, direction: 'undo' }, async () => {
        await until('two move and one waits', async () => (await selectOpenMoves(cloud.db)).map(({ state }) => state).sort().join() === 'moving,moving,queued');
        await requestCancel(cloud.deps, await selectOperation(cloud.db, away.id));
      });
      // no sooner: the third would have its turn before it is cancelled
      assert.equal((await goOn(away.id, goOnMoving)).state, 'cancelled');
      const moves = await selectMovesByBatch(cloud.db, away.id);
      assert.deepEqual(moves.map(({ state }) => state).sort(), ['cancelled', 'done', 'done']);
      const runner = cloud.startRunner();
      assert.equal((await cloud.ended((await bringBack(cloud, hosts.a)).id)).state, 'done');
      await runner.stop();
      await setWish(cloud, cloud.hostIds, 'enabled');
    });
  }
});
