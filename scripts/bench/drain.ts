// Measures how long a host of eight guests takes to be empty; scripts/bench/drain starts what this needs. Eight are the portal's,
// eight are twins that only virsh knows; both stand on the first host before each turn.
import { setTimeout as delay } from 'node:timers/promises';
import { addressOf, labHosts, makeInstance, makeTwin, movedByVirsh, virsh, type Instance, type LabHost, type Twin } from './lab-guests.ts';
import { median, openGate, openPortal, verdict, type Operation } from './portal-api.ts';

const [url = '', data = '', roundsText = '3'] = process.argv.slice(2);
const rounds = Number(roundsText);
const guests = 8;
const portal = await openPortal(url, `${data}/bench-token`);
await openGate(data);
const [first, ...others] = await labHosts(portal, data) as [LabHost, ...LabHost[]];

const instances: Instance[] = [];
for (let index = 0; index < guests; index++) instances.push(await makeInstance(portal, first, { memoryMib: 128 }));
const twins: Twin[] = [];
for (const instance of instances) twins.push(await makeTwin(instance, first, first));
for (const { mac } of [...instances, ...twins]) await addressOf(data, mac);
await delay(10_000);

async function byPortal(): Promise<number> {
  const startedAt = Date.now();
  const { endedAt } = await portal.ended(await portal.request<Operation>('POST', `/hosts/${first.id}/maintenance`));
  const elapsedMs = Date.parse(endedAt) - startedAt;
  const left = (await virsh(first, 'list', '--name')).split('\n').filter((name) => name.startsWith('i-'));
  if (left.length > 0) throw new Error(`not empty: ${left.join(' ')}`);
  await portal.ended(await portal.request<Operation>('POST', `/hosts/${first.id}/return`));
  return elapsedMs;
}

/** One after another, as a shell loop over `virsh list` does it, to the other hosts in turn. */
async function byVirsh(): Promise<number> {
  const target = (index: number): LabHost => others[index % others.length] ?? first;
  const startedAt = performance.now();
  for (const [index, twin] of twins.entries()) await movedByVirsh(twin, first, target(index));
  const elapsedMs = performance.now() - startedAt;
  for (const [index, twin] of twins.entries()) await movedByVirsh(twin, target(index), first);
  return elapsedMs;
}

const times = { portal: [] as number[], virsh: [] as number[] };
for (let round = 0; round < rounds; round++) {
  for (const way of round % 2 === 0 ? ['portal', 'virsh'] as const : ['virsh', 'portal'] as const) {
    times[way].push(await (way === 'portal' ? byPortal() : byVirsh()));
    await delay(3000);
  }
  process.stderr.write(`round ${round + 1} of ${rounds}\n`);
}
const ratio = median(times.portal) / median(times.virsh);
process.stdout.write(`| way (median of ${rounds}) | host empty after ms | least – most |\n|---|---|---|\n`);
for (const [way, values] of Object.entries(times)) process.stdout.write(`| ${way === 'portal' ? 'portal, maintenance' : 'virsh migrate, one after another'} | ${median(values).toFixed(0)} | ${Math.min(...values).toFixed(0)} – ${Math.max(...values).toFixed(0)} |\n`);
process.stdout.write(`\n- drain of ${guests}: ${ratio.toFixed(2)} × the loop (goal ≤ 0.7): ${verdict(ratio <= 0.7)}\n`);
