// kill -9 of the portal at every step of a recovery and of a restart, before the step and after it: the next portal goes on,
// and nothing runs twice or is forgotten.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { hostRecover, submitHostRecover } from '../../src/operations/host-recover.ts';
import { instanceRecover } from '../../src/operations/instance-recover.ts';
import { killProcess } from '../helpers/kill-process.ts';
import { createLostHosts, type LostHosts } from '../helpers/lost-hosts.ts';
import { forkDoomedPortal, type Doom, type KillPoint } from './doomed-portal-process.ts';

let lost: LostHosts;
afterEach(() => lost.close());

/** Another process takes the work up and is killed at that point; `kind` because the ids of restarts are not known yet. */
async function runAndKill(kind: string, step: string, when: KillPoint['when'], direction: KillPoint['direction'] = 'run'): Promise<void> {
  const child = forkDoomedPortal();
  let reached = false;
  child.on('message', () => { reached = true; });
  const { cloud } = lost;
  const doom: Doom = { databaseUrl: cloud.url, hosts: cloud.hostIds.map((id, index) => ({ id, uri: cloud.fakes[index]?.uri ?? '' })), points: [{ operationId: kind, step, when, direction }] };
  child.send(doom);
  try {
    await lost.until(() => reached, `${when} ${step}`, 30_000);
  } finally {
    await killProcess(child);
  }
}

async function begin(): Promise<string> {
  lost = await createLostHosts({ fenced: [0], hosts: 3, locks: false, availability: { enabled: false } });
  const runner = lost.cloud.startRunner();
  const { id } = await lost.runningOn(0);
  await runner.stop();
  lost.startJobs();
  await lost.powerOff(0);
  await lost.until(async () => (await lost.host(0)).state === 'unreachable', 'it is noticed');
  await submitHostRecover(lost.cloud.deps, await lost.host(0), { actor: null });
  return id;
}

async function goOn(instanceId: string): Promise<void> {
  lost.cloud.time.ahead += 16_000;
  lost.cloud.startRunner();
  await lost.until(async () => {
    const { state, hostId, operationId } = await lost.cloud.instance(instanceId);
    return state === 'running' && operationId === null && hostId !== lost.cloud.hostIds[0] && lost.runsOn(instanceId).length === 1;
  }, 'it runs elsewhere');
  assert.equal((await lost.recovery(({ endedAt }) => endedAt !== null)).state, 'done');
  await lost.powerOn(0);
  await lost.until(async () => (await lost.host(0)).state === 'up', 'it checks in');
  await lost.cloud.checkBooks();
}

describe('a portal killed while a host is recovered', () => {
  for (const { kind, steps } of [hostRecover, instanceRecover]) {
    for (const { name } of steps) {
      for (const when of ['before', 'after'] as const) {
        it(`${when} ${kind} ${name}`, async () => {
          const id = await begin();
          await runAndKill(kind, name, when);
          await goOn(id);
        });
      }
    }
  }

  for (const when of ['before', 'after'] as const) {
    it(`${when} undoing a start that failed`, async () => {
      const id = await begin();
      const heal = [1, 2].map((index) => lost.fake(index).fail('DOMAIN_CREATE_WITH_FLAGS', { code: 1, message: 'internal error: no' }));
      await runAndKill('instance-recover', 'start', when, 'undo');
      for (const each of heal) each();
      // a host that has just refused is not tried again at once
      lost.cloud.time.ahead += 31_000;
      await goOn(id);
    });
  }
});
