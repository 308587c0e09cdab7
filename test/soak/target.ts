// What may be attacked: each part can be killed or frozen and comes back. Of one group only one is away at a time: never both
// SQL nodes, both data nodes, or both portals. A machine is one of each, gone in one moment.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import type { Lab } from '../helpers/lab.ts';
import type { PortalProcess } from '../helpers/portal-process.ts';
import { script } from '../scripts/run.ts';

export const groups = ['portal', 'data', 'sql', 'host', 'machine'] as const;
export type Group = (typeof groups)[number];

export interface Target {
  readonly group: Group;
  readonly name: string;
  /** of a machine: what goes with it */
  readonly parts?: readonly Target[];
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
  return (['data1', 'data2', 'sql1', 'sql2'] as const).map((node) => {
    const ndb = async (command: string): Promise<void> => void (await run(script('ndb'), [command, dir, node]));
    const pidFile = `${dir}/${node}/pid`;
    let isFrozen = false;
    return {
      group: node.startsWith('data') ? 'data' : 'sql', name: node,
      async kill() {
        await signalRemembered(pidFile, 'SIGKILL');
        while ((await rememberedPid(pidFile)) !== undefined) await delay(20);
      },
      async freeze() {
        isFrozen = true;
        await signalRemembered(pidFile, 'SIGSTOP');
      },
      async restore() {
        // a data node that stood still too long was thrown out by its sister and ends when it goes on: then it is started
        if (isFrozen) await signalRemembered(pidFile, 'SIGCONT');
        if (isFrozen) await delay(3000);
        isFrozen = false;
        await ndb('start');
      },
    };
  });
}

/** From here and not by a script, whose start takes its time: what a machine carries dies in one moment. */
async function signalRemembered(pidFile: string, signal: NodeJS.Signals): Promise<void> {
  const pid = await rememberedPid(pidFile);
  if (pid === undefined) throw new Error(`what ${pidFile} names has ended by itself`);
  process.kill(pid, signal);
}

/** The process that a script wrote down as "PID STARTTIME@BOOT" (scripts/lib/common.sh), while it is still that one. */
async function rememberedPid(pidFile: string): Promise<number | undefined> {
  const [pid = '', start] = (await readFile(pidFile, 'utf8')).trim().split(' ');
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  // from the third field on: the second is a name, in which anything may stand
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] !== 'Z' && start === `${fields[19]}@${boot.trim()}` ? Number(pid) : undefined;
}

/**
 * The physical machines that carry these: the n-th has the n-th of each kind. What there is only one of stands elsewhere, as the
 * management node does; a host that carries nothing else is attacked as a host.
 */
export function machineTargets(targets: readonly Target[]): Target[] {
  const several = (group: Group): readonly Target[] => {
    const all = targets.filter((target) => target.group === group);
    return all.length > 1 ? all : [];
  };
  const services = [several('data'), several('sql'), several('portal')];
  return several('host').flatMap((host, index) => {
    const booted = services.flatMap((all) => all[index] ?? []);
    return booted.length === 0 ? [] : [machineTarget(`machine${index + 1}`, host, booted)];
  });
}

function machineTarget(name: string, host: Target, booted: readonly Target[]): Target {
  const parts = [host, ...booted];
  let isFrozen = false;
  const boot = async (): Promise<void> => {
    for (const service of booted) await service.restore();
  };
  return {
    group: 'machine', name, parts,
    kill: async () => void (await Promise.all(parts.map((part) => part.kill()))),
    async freeze() {
      isFrozen = true;
      await Promise.all(parts.map((part) => part.freeze()));
    },
    // one that hung goes on everywhere at once; one that was off starts its services in this order, and the host by itself
    async restore() {
      await Promise.all([host.restore(), ...(isFrozen ? booted.map((service) => service.restore()) : [boot()])]);
      isFrozen = false;
    },
  };
}
