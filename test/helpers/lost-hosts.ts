// A cloud whose hosts can lose their power, their network or both, with fence agents that really cut the power of a fake
// host. All the while it is watched that no instance runs on two hosts.
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { checkInHosts } from '../../src/jobs/check-in-hosts.ts';
import { createRecoverHosts } from '../../src/jobs/recover-hosts.ts';
import { createWatchHosts } from '../../src/jobs/watch-hosts.ts';
import type { Host } from '../../src/model/host.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { Recovery } from '../../src/model/recovery.ts';
import type { Settings } from '../../src/model/settings.ts';
import type { FencingTimes } from '../../src/fencing/fencing.ts';
import { updateFence } from '../../src/store/fences.ts';
import { selectHost } from '../../src/store/hosts.ts';
import { selectRecoveriesPage } from '../../src/store/recoveries.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { createCloud, type Cloud } from './cloud.ts';
import { createFencedMachine, testAgent, testFencing, type FencedMachine } from './fence-agent.ts';
import { state } from './fake-libvirtd/domain.ts';
import { FakeDirectory } from './fake-libvirtd/storage.ts';
import type { FakeLibvirtd } from './fake-libvirtd/index.ts';

export interface LostHostsOptions {
  readonly hosts?: number;
  /** of every host */
  readonly cpus?: number;
  /** which hosts have an agent */
  readonly fenced?: readonly number[];
  /** false: storage on which nobody's locks are seen, so that only we stand between an instance and its second copy */
  readonly locks?: boolean;
  readonly availability?: Partial<Settings['availability']>;
  readonly fencing?: Partial<FencingTimes>;
}

export interface LostHosts {
  readonly cloud: Cloud;
  readonly machines: readonly FencedMachine[];
  fake(index: number): FakeLibvirtd;
  host(index: number): Promise<Host>;
  /** a running instance with its home there */
  runningOn(index: number, over?: { readonly ha?: boolean; readonly priority?: 0 | 1 | 2; readonly name?: string }): Promise<Instance>;
  /** like pulling the plug: guests and locks go with it */
  powerOff(index: number): Promise<void>;
  powerOn(index: number): Promise<void>;
  /** silent, and its guests run on */
  cut(index: number): Promise<void>;
  join(index: number): Promise<void>;
  /** index of the hosts on which it runs */
  runsOn(instanceId: string): number[];
  recoveries(): Promise<Recovery[]>;
  /** waits for the newest recovery to be so */
  recovery(is: (recovery: Recovery) => boolean): Promise<Recovery>;
  /** and all that was written with it is to be seen */
  until(condition: () => Promise<boolean> | boolean, what: string, withinMs?: number): Promise<void>;
  /** one more portal's jobs */
  startJobs(): void;
  close(): Promise<void>;
}

/** A silent host makes each turn half a second longer; a machine that stands still for as long is no silence yet. */
const quickWatch = { everyMs: 250, silenceMs: 1200 };

export async function createLostHosts(options: LostHostsOptions = {}): Promise<LostHosts> {
  const directory = new FakeDirectory('/srv/shared');
  const count = options.hosts ?? 4;
  const cloud = await createCloud({ fakes: Array.from({ length: count }, () => ({ pools: [{ name: 'default', directory }] })), cpus: options.cpus ?? 64 });
  Object.assign(cloud.deps, { fencing: testFencing(options.fencing) });
  if (options.locks === false) for (const { host } of cloud.fakes) Object.assign(host, { openDisks: () => undefined });
  await updateSettings(cloud.db, 'availability', { enabled: true, graceSeconds: 0, proof: 'fencing', defaultHa: true, ...options.availability }, null, Date.now());
  const machines = await Promise.all(cloud.fakes.map(() => createFencedMachine()));
  for (const index of options.fenced ?? []) {
    const id = cloud.hostIds[index] ?? '';
    await updateFence(cloud.db, id, { agent: testAgent, parameters: machines[index]?.parameters ?? {}, sealed: cloud.deps.fencing.seal(id, { password: 'secret' }) });
  }
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal);
  const loops: Promise<void>[] = [];
  const twice = new Set<string>();
  const wasOff = cloud.fakes.map(() => false);
  const reachable = cloud.fakes.map(() => true);

  const loop = (everyMs: number, run: () => Promise<void> | void): void => {
    loops.push((async () => {
      while (!stopping.signal.aborted) {
        await run();
        await delay(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    })());
  };
  const fake = (index: number): FakeLibvirtd => cloud.fakes[index] ?? assert.fail();
  const runsOn = (id: string): number[] => cloud.fakes.flatMap(({ domains }, index) => (domains.get(id)?.isActive === true ? [index] : []));
  const silence = async (index: number): Promise<void> => {
    if (reachable[index] !== true) return;
    reachable[index] = false;
    await fake(index).refuse();
  };
  const answer = async (index: number): Promise<void> => {
    if (reachable[index] === true) return;
    reachable[index] = true;
    await fake(index).accept();
  };
  const crash = async (index: number): Promise<void> => {
    for (const domain of fake(index).domains.values()) if (domain.isActive) fake(index).host.destroy(domain.uuid);
    wasOff[index] = true;
    await silence(index);
    await machines[index]?.applied('off');
  };
  await Promise.all(machines.map((machine) => machine.applied('on')));
  loop(2, () => {
    // the half of a move that waits at its target is no second copy: it does not run
    const running = cloud.fakes.flatMap(({ domains }) => [...domains.values()].filter((domain) => domain.state === state.running).map(({ uuid }) => uuid));
    for (const [index, id] of running.entries()) if (running.indexOf(id) !== index) twice.add(id);
  });
  // the agent's word becomes deed
  loop(20, async () => {
    for (const [index, machine] of machines.entries()) {
      const power = await machine.power();
      if (power === 'off' && wasOff[index] === false) await crash(index);
      if (power === 'on' && wasOff[index] === true) {
        wasOff[index] = false;
        await machine.applied('on');
        await answer(index);
      }
    }
  });

  const lost: LostHosts = {
    cloud, machines, fake, runsOn,
    host: (index) => selectHost(cloud.db, cloud.hostIds[index] ?? ''),
    async runningOn(index, { ha = true, priority = 1, name } = {}) {
      await cloud.db.execute("UPDATE hosts SET wish = CASE id WHEN ? THEN 'enabled' ELSE 'disabled' END", [cloud.hostIds[index] ?? '']);
      const { id } = await cloud.running(name);
      await cloud.db.execute("UPDATE hosts SET wish = 'enabled'");
      await cloud.db.execute('UPDATE instances SET ha = ?, ha_priority = ? WHERE id = ?', [ha ? 1 : 0, priority, id]);
      return cloud.instance(id);
    },
    async powerOff(index) {
      await machines[index]?.setPower('off');
      await crash(index);
    },
    async powerOn(index) {
      await machines[index]?.setPower('on');
      wasOff[index] = false;
      await machines[index]?.applied('on');
      await answer(index);
    },
    cut: silence,
    join: answer,
    recoveries: async () => (await selectRecoveriesPage(cloud.db, 1, 20)).recoveries,
    async recovery(is) {
      let last: Recovery | undefined;
      for (const end = Date.now() + 60_000; Date.now() < end; await delay(15)) {
        [last] = await lost.recoveries();
        if (last === undefined || !is(last)) continue;
        await cloud.answered();
        return last;
      }
      return assert.fail(`the recovery stands at ${JSON.stringify(last)}`);
    },
    async until(condition, what, withinMs = 60_000) {
      for (const end = Date.now() + withinMs; Date.now() < end; await delay(15)) if (await condition()) return cloud.answered();
      assert.fail(`not within ${withinMs} ms: ${what}`);
    },
    startJobs() {
      const { run: watch } = createWatchHosts(cloud.deps, quickWatch);
      const recover = createRecoverHosts(cloud.deps);
      loop(quickWatch.everyMs, () => watch(stopping.signal));
      loop(50, () => recover());
      loop(50, () => checkInHosts(cloud.deps, stopping.signal));
    },
    async close() {
      stopping.abort();
      await Promise.all(loops);
      for (const [index] of machines.entries()) await answer(index);
      await cloud.close();
      await Promise.all(machines.map((machine) => machine.remove()));
      assert.deepEqual([...twice], [], 'no instance ever ran twice');
    },
  };
  return lost;
}
