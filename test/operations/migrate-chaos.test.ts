// Moves while hosts die, hang, lose each other and the portal, portals come and go and people cancel: at random, seeded. All
// the while no instance runs twice; once all is well again, each runs once (or is off, where its host died), on the host of
// its record, and the books agree. MIGRATE_CHAOS_ROUNDS and MIGRATE_CHAOS_SEED.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isWorthWaiting } from '../../src/operations/failure.ts';
import { requestCancel } from '../../src/operations/cancel.ts';
import { reconcileHost } from '../../src/operations/reconcile.ts';
import type { Runner } from '../../src/operations/runner.ts';
import { selectHost } from '../../src/store/hosts.ts';
import { selectMove } from '../../src/store/moves.ts';
import { countOpenOperations, selectOperation } from '../../src/store/operations.ts';
import type { Cloud } from '../helpers/cloud.ts';
import type { FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import type { MigrationPhase } from '../helpers/fake-libvirtd/migration.ts';
import { createMoveCloud, hostOf, move } from '../helpers/moves.ts';

const rounds = Number(process.env['MIGRATE_CHAOS_ROUNDS'] ?? 4);
const seed = Number(process.env['MIGRATE_CHAOS_SEED'] ?? Date.now() % 1_000_000);

/** mulberry32 */
function random(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

for (const local of [false, true]) {
  describe(`moves in bad times${local ? ', with disks' : ''} (seed ${seed})`, { timeout: rounds * 30_000 }, () => {
    const next = random(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] ?? assert.fail();
    let cloud: Cloud;
    let runners: Runner[];
    before(async () => {
      cloud = await createMoveCloud({ hosts: 3, local, migrationMs: 200 });
      // one at a time: the clock that is put forward below would end the lease of one in favour of the other
      runners = [cloud.startRunner()];
    });
    after(() => cloud.close());

    const runsOn = (id: string): number[] => cloud.fakes.flatMap((fake, index) => (fake.domains.get(id)?.state === 1 ? [index] : []));
    const phases: readonly MigrationPhase[] = ['connect', 'begin', 'prepare', 'perform', 'finish', 'confirm'];

    /** Each returns what mends it. */
    const troubles: readonly ((fake: FakeLibvirtd, other: FakeLibvirtd) => Promise<() => Promise<void> | void>)[] = [
      async (fake) => {
        await fake.powerOff();
        return () => fake.powerOn();
      },
      async (fake) => {
        fake.hang();
        return Promise.resolve(() => fake.resume());
      },
      async (fake) => {
        await fake.refuse();
        return () => fake.accept();
      },
      async (fake) => {
        fake.dropConnections();
        return Promise.resolve(() => undefined);
      },
      async (fake, other) => {
        fake.host.migrations.cutFrom.add(other.host);
        return Promise.resolve(() => fake.host.migrations.cutFrom.clear());
      },
      async (fake) => {
        fake.host.migrations.fail(pick(phases));
        return Promise.resolve(() => undefined);
      },
      async (fake) => {
        const release = fake.host.migrations.hold(pick(phases));
        return Promise.resolve(release);
      },
      async () => {
        // its leases end at once: another portal goes on
        await runners.shift()?.stop();
        runners.push(cloud.startRunner());
        return () => undefined;
      },
    ];

    for (let round = 1; round <= rounds; round++) {
      it(`round ${round}`, async () => {
        const instances = [await cloud.running(), await cloud.running(), await cloud.running()];
        const moves = [];
        for (const instance of instances) {
          const toHostId = pick(cloud.hostIds.filter((id) => id !== instance.hostId));
          const asked = await move(cloud, instance, { toHostId }).catch((error: unknown) => {
            if (!isWorthWaiting(error)) throw error;
            return undefined;
          });
          if (asked !== undefined) moves.push(asked);
        }
        const mends: (() => Promise<void> | void)[] = [];
        const watched = watch(instances.map(({ id }) => id));
        for (let count = 0; count < 3; count++) {
          await delay(next() * 250);
          const fake = pick(cloud.fakes);
          mends.push(await pick(troubles)(fake, pick(cloud.fakes.filter((each) => each !== fake))));
          if (next() < 0.3) await requestCancel(cloud.deps, await selectOperation(cloud.db, pick(moves).operation.id)).catch(() => undefined);
        }
        await delay(next() * 500);
        for (const mend of mends) await Promise.resolve(mend()).catch(() => undefined);
        // hosts that were left with a half get their time to tidy up
        const hurry = setInterval(() => { cloud.time.ahead += 41_000; }, 3000);
        try {
          for (const { operation } of moves) await cloud.ended(operation.id);
        } finally {
          clearInterval(hurry);
          watched.stop();
        }
        assert.deepEqual(watched.twice, []);
        await healthy();
        for (const instance of instances) {
          const found = await cloud.instance(instance.id);
          assert.deepEqual(runsOn(instance.id), found.state === 'running' ? [hostOf(cloud, found)] : [], `${instance.id}: ${found.state}`);
        }
        for (const { operation } of moves) {
          const record = await selectMove(cloud.db, operation.id);
          assert.equal((await cloud.instance(record.instanceId)).hostId, record.state === 'done' ? record.toHostId : record.fromHostId);
        }
        assert.deepEqual(cloud.alerts.map(({ key }) => key), []);
        for (const { id } of instances) assert.equal((await cloud.ended((await cloud.act(id, 'delete')).id)).state, 'done');
        await checkVolumes();
      });
    }

    /** Looks all the time, without asking anybody. */
    function watch(ids: readonly string[]): { readonly twice: string[]; stop(): void } {
      const twice: string[] = [];
      const timer = setInterval(() => {
        for (const id of ids) if (runsOn(id).length > 1) twice.push(id);
      }, 1);
      return { twice, stop: () => clearInterval(timer) };
    }

    async function healthy(): Promise<void> {
      await Promise.all(cloud.hostIds.map((id) => cloud.deps.hosts.host(id).ready({ timeoutMs: 20_000 })));
      // a host may have died after a move had ended there; what went off with it is started again
      for (const id of cloud.hostIds) await reconcileHost(cloud.deps, await selectHost(cloud.db, id));
      for (const deadline = Date.now() + 20_000; (await countOpenOperations(cloud.db)) > 0; await delay(20)) assert.ok(Date.now() < deadline, 'what was started again is up');
      await cloud.answered();
    }

    /** Whatever was left on a host that died when it was tidied up is found by reconciliation, and is no instance's. */
    async function checkVolumes(): Promise<void> {
      const sums = await cloud.db.query<{ used: number }>('SELECT used_vcpus AS used FROM hosts UNION ALL SELECT used_gib FROM storage_pools UNION ALL SELECT used_instances FROM users');
      assert.deepEqual(sums.filter(({ used }) => used !== 0), [], 'nothing is reserved when nothing is there');
      const open = await cloud.db.query("SELECT id FROM moves WHERE state IN ('queued', 'moving')");
      assert.deepEqual(open, []);
    }
  });
}
