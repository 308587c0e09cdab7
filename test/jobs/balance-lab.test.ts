// Balancing on real hosts: what libvirt measures leads to a live migration, and the hosts are measured anew after it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { balance } from '../../src/jobs/balance.ts';
import { createCollectMetrics } from '../../src/jobs/collect-metrics.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { Move } from '../../src/model/move.ts';
import { defaultSettings, type Settings } from '../../src/model/settings.ts';
import { loadFleet } from '../../src/operations/admission.ts';
import { loadBalancing } from '../../src/operations/balancing.ts';
import { updateHost } from '../../src/store/hosts.ts';
import { selectOptionalInstancePlacement } from '../../src/store/instance-placements.ts';
import { selectMovesPage, selectOpenMoves } from '../../src/store/moves.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { createLabCloud, type LabCloud } from '../helpers/lab-cloud.ts';
import { startLab } from '../helpers/lab.ts';
import { needsRoot } from '../scripts/run.ts';

const config = { pollIntervalMs: 10_000 };

describe('balancing real hosts', { skip: needsRoot, timeout: 240_000 }, () => {
  let cloud: LabCloud;
  const instances: Instance[] = [];
  before(async () => {
    cloud = await createLabCloud(await startLab({ hosts: 2, ttlSeconds: 600 }));
    cloud.startRunner();
    // a small machine that runs tests is busy, and that is not what this is about
    await updateSettings(cloud.db, 'thresholds', { ...defaultSettings.thresholds, enabled: false }, null, Date.now());
    await updateSettings(cloud.db, 'placement', { ...defaultSettings.placement, maxCpuPercent: 100, maxMemoryPercent: 100 }, null, Date.now());
    await updateHost(cloud.db, cloud.hostIds[1] ?? '', { wish: 'disabled' });
    for (let index = 0; index < 2; index++) instances.push(await cloud.running());
    await updateHost(cloud.db, cloud.hostIds[1] ?? '', { wish: 'enabled' });
  });
  after(async () => {
    await cloud?.close();
    await cloud?.lab.stop();
  });

  /** Two readings: the second has rates. */
  async function measure(): Promise<[number, number]> {
    const collect = createCollectMetrics(cloud.deps, config);
    await collect(new AbortController().signal);
    await delay(1500);
    await collect(new AbortController().signal);
    // their processors are this one machine's, and others use it
    await cloud.db.execute('UPDATE host_samples SET cpu_percent = 50');
    const { hostMemoryPercent } = await loadFleet(cloud.db, defaultSettings, cloud.deps.clock.now());
    const [one = 0, two = 0] = cloud.hostIds.map((id) => hostMemoryPercent.get(id) ?? 0);
    return [one, two];
  }

  /** Guests that boot take more memory from moment to moment. */
  async function booted(): Promise<void> {
    let calm = 0;
    let [before] = await measure();
    for (const end = Date.now() + 90_000; calm < 3 && Date.now() < end; ) {
      const [now] = await measure();
      calm = Math.abs(now - before) < 0.02 ? calm + 1 : 0;
      before = now;
    }
  }

  /** Machines that are still booting take all of a slow machine's processors, and none is sent to a host that would be full: then again. */
  async function overloadedMove(): Promise<{ move: Move; one: number; balancing: Settings['balancing'] } | undefined> {
    for (const end = Date.now() + 90_000; Date.now() < end; ) {
      const [one, two] = await measure();
      assert.ok(one > two && two > 0, `${one} % and ${two} %`);
      // of CPU nothing is asked: on this machine all hosts share one
      const balancing = { ...defaultSettings.balancing, mode: 'act', samples: 1, minGainPercent: 1, movesPerRound: 1, highCpuPercent: 100, lowCpuPercent: 99.9, highMemoryPercent: one - 0.5, lowMemoryPercent: one - 0.6 } as const;
      await updateSettings(cloud.db, 'balancing', balancing, null, Date.now());
      await balance(cloud.deps, config);
      const [move] = await selectOpenMoves(cloud.db);
      if (move !== undefined) return { move, one, balancing };
    }
    return undefined;
  }

  it('moves a running machine off the host with more memory in use, and then lets it rest', async () => {
    await booted();
    const first = await overloadedMove();
    assert.ok(first !== undefined, 'nothing was moved');
    const { move, one, balancing } = first;
    assert.deepEqual([move.trigger, move.kind, move.why.key, move.actorId], ['balancing', 'live', 'balancing.why.memory', null]);
    assert.deepEqual([(await cloud.ended(move.id)).error], [null]);
    assert.deepEqual(await cloud.processesOf(move.instanceId), [2]);
    const record = await selectOptionalInstancePlacement(cloud.db, move.instanceId);
    assert.deepEqual([record?.cause, record?.placement?.hostId, record?.placement?.considered.length], ['balancing', cloud.hostIds[1], 2]);

    // from before the move nothing is concluded; measured anew, both are calm
    await balance(cloud.deps, config);
    const [after] = await measure();
    assert.ok(after < one, `${one} % before, ${after} % after`);
    await balance(cloud.deps, config);
    assert.equal((await selectMovesPage(cloud.db, { trigger: 'balancing', page: 1, pageSize: 5 })).total, 1);
    const input = await loadBalancing(cloud.db, config, { ...defaultSettings, balancing }, cloud.deps.clock.now());
    assert.ok(input.touchedAt.has(move.instanceId));
  });
});
