// What may be attacked: each part can be killed or frozen and comes back. Of one group only one is away at a time: never both
// SQL nodes, both data nodes, or both portals.
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import type { Lab } from '../helpers/lab.ts';
import type { PortalProcess } from '../helpers/portal-process.ts';
import { script } from '../scripts/run.ts';

export const groups = ['portal', 'data', 'sql', 'host'] as const;
export type Group = (typeof groups)[number];

export interface Target {
  readonly group: Group;
  readonly name: string;
  kill(): Promise<void>;
  freeze(): Promise<void>;
  /** resolves when it works again, after either */
  restore(): Promise<void>;
}

export function portalTarget(portal: PortalProcess): Target {
  return {
    group: 'portal', name: portal.name,
    kill: () => portal.kill(),
    freeze: async () => portal.freeze(),
    restore: async () => (portal.state === 'frozen' ? portal.thaw() : portal.start()),
  };
}

/** A portal that has just decided to switch it off does so although it is back: longer than that takes. */
const fencedWithinMs = 20_000;

export function labHostTarget(lab: Lab, number: number): Target {
  return {
    group: 'host', name: lab.host(number).name,
    kill: () => lab.kill(number),
    freeze: () => lab.freeze(number),
    async restore() {
      if ((await lab.state(number)) === 'frozen') await lab.thaw(number);
      for (const end = performance.now() + fencedWithinMs; performance.now() < end; await delay(1000)) {
        if ((await lab.state(number)) === 'off') await lab.start(number);
      }
    },
  };
}

export function fakeHostTarget(fake: FakeLibvirtd, name: string): Target {
  return {
    group: 'host', name,
    kill: () => fake.powerOff(),
    freeze: async () => fake.hang(),
    restore: async () => (fake.hung ? fake.resume() : fake.powerOn()),
  };
}

const run = promisify(execFile);

/** A cluster of scripts/ndb below `dir`. */
export function clusterTargets(dir: string): Target[] {
  const ndb = async (command: string, node: string): Promise<void> => void (await run(script('ndb'), [command, dir, node]));
  return (['data1', 'data2', 'sql1', 'sql2'] as const).map((node) => {
    let isFrozen = false;
    return {
      group: node.startsWith('data') ? 'data' : 'sql', name: node,
      kill: () => ndb('kill', node),
      async freeze() {
        isFrozen = true;
        await ndb('freeze', node);
      },
      async restore() {
        // a data node that stood still too long was thrown out by its sister and ends when it goes on: then it is started
        if (isFrozen) await ndb('thaw', node);
        if (isFrozen) await delay(3000);
        isFrozen = false;
        await ndb('start', node);
      },
    };
  });
}
