// A portal's runner in a process of its own, made to be killed: at the points it is told of it says so and stands still.
// Started by doomed-portal-process.ts; whoever does speaks to it over IPC.
import { randomUUID } from 'node:crypto';
import { systemClock } from '../../src/clock.ts';
import { createFleet } from '../../src/libvirt/fleet.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { createLog } from '../../src/log.ts';
import type { OperationDeps } from '../../src/operations/deps.ts';
import { createRunner } from '../../src/operations/runner.ts';
import { openDatabase } from '../../src/store/db.ts';
import { selectOperation } from '../../src/store/operations.ts';
import { quickRunner } from '../helpers/cloud.ts';
import { testFencing } from '../helpers/fence-agent.ts';

export interface KillPoint {
  /** its id; or its kind, for one that is only submitted on the way */
  readonly operationId: string;
  readonly step: string;
  readonly direction: 'run' | 'undo';
  readonly when: 'before' | 'after';
}
export interface Doom {
  readonly databaseUrl: string;
  readonly hosts: readonly { readonly id: string; readonly uri: string }[];
  readonly points: readonly KillPoint[];
}

process.once('message', (doom: Doom) => {
  const hosts = createFleet(openHypervisor);
  hosts.sync(doom.hosts);
  const deps: OperationDeps = { db: openDatabase([doom.databaseUrl], { connectionLimit: 10 }), hosts, openHost: openHypervisor, fencing: testFencing(), alert: () => undefined, clock: systemClock, log: createLog('silent'), wake: () => undefined };
  const standAt = (when: KillPoint['when']) => async (operationId: string, step: string, direction: 'run' | 'undo') => {
    const here = doom.points.filter((each) => each.step === step && each.direction === direction && each.when === when);
    if (here.length === 0) return;
    const { kind } = await selectOperation(deps.db, operationId);
    if (!here.some((each) => each.operationId === operationId || each.operationId === kind)) return;
    process.send?.(operationId);
    await new Promise<never>(() => undefined);
  };
  // its connections to the hosts are made while it begins: on a busy machine that takes longer than what a silent host is given elsewhere
  const times = { ...quickRunner.times, connectMs: 2000, waitForHostMs: 30_000 };
  createRunner(deps, { ownerId: randomUUID(), ...quickRunner, times, hooks: { beforeStep: standAt('before'), afterStep: standAt('after') } }).start();
});
