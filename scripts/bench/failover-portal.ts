// Measures what follows the death of a portal; scripts/bench/failover-portal starts what this needs.
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createApiToken } from '../../src/store/api-tokens.ts';
import { selectJobs } from '../../src/store/jobs.ts';
import { selectHeldOperations } from '../../src/store/operations.ts';
import { selectPortals } from '../../src/store/portals.ts';
import { logIn, makeUser } from '../../test/helpers/accounts.ts';
import { createCloud } from '../../test/helpers/cloud.ts';
import { Client } from '../../test/helpers/portal.ts';
import { createPortalProcess, type PortalProcess } from '../../test/helpers/portal-process.ts';
import { Balancer } from '../../test/soak/balancer.ts';
import { median, verdict } from './portal-api.ts';

const goalSeconds = 15;
/** Under way when the portal dies. More: a portal works on four of one host at a time, and would wait for its own. */
const operations = 3;

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } });
const cloud = await createCloud({ fakes: [{ keepRequests: false }] });
const portals: PortalProcess[] = [];
for (const name of ['one', 'two']) portals.push(await createPortalProcess({ name, databaseUrl: cloud.url }));
const balancer = new Balancer(portals);
try {
  await Promise.all(portals.map((portal) => portal.start()));
  const { id: userId } = await makeUser(cloud.db, 'ann');
  await cloud.db.execute('UPDATE users SET quota_instances = 1000, quota_vcpus = 1000, quota_memory_mib = 10000000, quota_disk_gib = 100000 WHERE id = ?', [userId]);
  const { secret } = await createApiToken(cloud.db, { userId, name: 'bench', scope: 'write', expiresAt: Date.now() + 3_600_000 }, Date.now());
  const browser = new Client(portals[0]?.url ?? '');
  await logIn(browser, 'ann');
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ');

  for (const how of ['killed', 'frozen'] as const) {
    const taken: number[] = [];
    const jobs: number[] = [];
    const pages: number[] = [];
    let failed = 0;
    for (let round = 0; round < Number(values.rounds); round++) {
      const dying = portals[round % 2] as PortalProcess;
      const heir = portals[(round + 1) % 2] as PortalProcess;
      const owner = async (portal: PortalProcess): Promise<string> => (await selectPortals(cloud.db)).find(({ name }) => name === portal.name)?.leaseOwner ?? '';
      const [dead, alive] = [await owner(dying), await owner(heir)];
      // each stands in a call that its host never answers
      cloud.fake.fault('DOMAIN_CREATE_WITH_FLAGS', { type: 'silence' }, { times: operations });
      for (let number = 0; number < operations; number++) {
        const response = await fetch(`${dying.url}/api/v1/instances`, {
          method: 'POST', headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }, body: JSON.stringify({ name: `f-${how}-${round}-${number}`, imageId: cloud.image.id, vcpus: 1, memoryMib: 64, diskGib: 1 }),
        });
        if (response.status !== 202) throw new Error(`not created: ${response.status} ${await response.text()}`);
      }
      const heldBy = async (holder: string): Promise<string[]> => (await selectHeldOperations(cloud.db, 100)).filter(({ ownerId }) => ownerId === holder).map(({ operation }) => operation.id);
      let mine: string[] = [];
      for (const end = Date.now() + 10_000; Date.now() < end && mine.length < operations - 1; await delay(100)) mine = await heldBy(dead);
      const held = (await selectJobs(cloud.db)).filter(({ leaseOwner }) => leaseOwner === dead).length;

      const looking = new AbortController();
      const looks = (async () => {
        while (!looking.signal.aborted) {
          const answer = await balancer.request('/instances', { headers: { cookie, accept: 'text/html' } }, 20_000);
          if (answer?.status !== 200) failed++;
          pages.push((answer?.elapsedMs ?? 20_000) / 1000);
          await delay(100);
        }
      })();
      await (how === 'killed' ? dying.kill() : Promise.resolve(dying.freeze()));
      const began = performance.now();
      const since = (): number => (performance.now() - began) / 1000;
      let operationsAt: number | undefined;
      let jobsAt: number | undefined = held === 0 ? 0 : undefined;
      while ((operationsAt === undefined || jobsAt === undefined) && since() < 60) {
        const left = await heldBy(dead);
        if (operationsAt === undefined && !left.some((id) => mine.includes(id))) operationsAt = since();
        if (jobsAt === undefined && (await selectJobs(cloud.db)).every(({ leaseOwner }) => leaseOwner !== dead)) jobsAt = since();
        await delay(50);
      }
      taken.push(operationsAt ?? NaN);
      if (held > 0) jobs.push(jobsAt ?? NaN);
      for (const end = Date.now() + 60_000; Date.now() < end && (await heldBy(alive)).length > 0;) await delay(200);
      cloud.fake.faults.clear();
      looking.abort();
      await looks;
      if (dying.state === 'frozen') dying.thaw();
      else await dying.start();
      await delay(5000);
      process.stderr.write(`${how}: round ${round + 1} of ${values.rounds}\n`);
    }
    const line = (what: string, times: readonly number[]): string => (times.length === 0 ? '' : `| ${what} | ${median(times).toFixed(1)} | ${Math.min(...times).toFixed(1)} – ${Math.max(...times).toFixed(1)} |\n`);
    process.stdout.write(`\n| a portal is ${how} (median of ${values.rounds}) | s | least – most |\n|---|---|---|\n`);
    process.stdout.write(line('all of its operations go on at the other', taken) + line('all of its jobs are the other’s', jobs) + line(`a page through a proxy meanwhile (${pages.length})`, pages));
    process.stdout.write(`\n- operations go on within ${Math.max(...taken).toFixed(1)} s (goal ≤ ${goalSeconds}): ${verdict(Math.max(...taken) <= goalSeconds)}\n- failed pages: ${failed} (goal 0): ${verdict(failed === 0)}\n`);
  }
} finally {
  await balancer.close();
  await Promise.all(portals.map((portal) => portal.kill()));
  await cloud.close();
}
