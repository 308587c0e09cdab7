// Measures what follows a power failure of a host with two instances; scripts/bench/failover starts what this needs.
import { setTimeout as delay } from 'node:timers/promises';
import { addressOf, labHosts, makeInstance, root, run, until, type Instance } from './lab-guests.ts';
import { median, openGate, openPortal, verdict } from './portal-api.ts';

const [url = '', data = '', roundsText = '3'] = process.argv.slice(2);
const rounds = Number(roundsText);
const portal = await openPortal(url, `${data}/bench-token`);
await openGate(data);
const hosts = await labHosts(portal, data);
const [first] = hosts;
if (first === undefined) throw new Error('the lab has no hosts');
const instances = [await makeInstance(portal, first, { memoryMib: 128 }), await makeInstance(portal, first, { memoryMib: 128 })];
const addresses = await Promise.all(instances.map(({ mac }) => addressOf(data, mac)));
const answers = async (address: string): Promise<true> => { await run('ping', ['-n', '-q', '-c', '1', '-W', '1', address]); return true; };
const lab = (...args: string[]): Promise<unknown> => run(`${root}/scripts/lab`, [args[0] ?? '', data, ...args.slice(1)]);

interface HostBody { readonly state: string; readonly stateSince: string }
const seconds: Record<'noticed' | 'proven' | 'running' | 'answering' | 'afterProof', number[]> = { noticed: [], proven: [], running: [], answering: [], afterProof: [] };

for (let round = 0; round < rounds; round++) {
  const home = (await portal.request<Instance>('GET', `/instances/${instances[0]?.id}`)).host;
  const host = hosts.find(({ id }) => id === home?.id) ?? first;
  for (const instance of instances) if ((await portal.request<Instance>('GET', `/instances/${instance.id}`)).host?.id !== host.id) throw new Error('the instances were restarted on different hosts: fewer rounds');
  for (const address of addresses) await until(`${address} answers`, 120, () => answers(address));
  const killedAt = Date.now();
  await lab('kill', String(host.number));
  const since = (text: string | null): number => (text === null ? NaN : (Date.parse(text) - killedAt) / 1000);
  const noticed = await until('noticed', 60, async () => { const now = await portal.request<HostBody>('GET', `/hosts/${host.id}`); return now.state === 'up' ? undefined : now.stateSince; });
  const isBack = async (instance: Instance): Promise<true | undefined> => {
    const now = await portal.request<Instance & { operation: unknown }>('GET', `/instances/${instance.id}`);
    return now.state === 'running' && now.host?.id !== host.id && now.operation === null ? true : undefined;
  };
  await Promise.all(instances.map((instance) => until(`${instance.name} runs again`, 180, () => isBack(instance))));
  const running = (Date.now() - killedAt) / 1000;
  for (const address of addresses) await until(`${address} answers again`, 120, () => answers(address));
  const answering = (Date.now() - killedAt) / 1000;
  const { items } = await portal.request<{ items: { provenAt: string | null; noticedAt: string }[] }>('GET', '/recoveries');
  const proven = since(items[0]?.provenAt ?? null);
  seconds.noticed.push(since(noticed));
  seconds.proven.push(proven);
  seconds.running.push(running);
  seconds.afterProof.push(running - proven);
  seconds.answering.push(answering);
  await lab('start', String(host.number));
  await until(`${host.name} is in use again`, 120, async () => ((await portal.request<HostBody>('GET', `/hosts/${host.id}`)).state === 'up' ? true : undefined));
  await delay(3000);
  // both together again, for the next round
  const [one, two] = await Promise.all(instances.map((instance) => portal.request<Instance>('GET', `/instances/${instance.id}`)));
  if (one?.host?.id !== two?.host?.id) {
    const { items: moves } = await portal.request<{ items: { move: { id: string } | null; refusal: string | null }[] }>('POST', '/moves', { instanceIds: [two?.id], toHostId: one?.host?.id });
    if (moves[0]?.move) await portal.ended(moves[0].move);
  }
  process.stderr.write(`round ${round + 1} of ${rounds}\n`);
}

const line = (what: string, values: readonly number[]): string => `| ${what} | ${median(values).toFixed(1)} | ${Math.min(...values).toFixed(1)} – ${Math.max(...values).toFixed(1)} |\n`;
process.stdout.write(`| since the power failed (median of ${rounds}) | s | least – most |\n|---|---|---|\n`);
process.stdout.write(line('noticed', seconds.noticed) + line('proven by the fence agent', seconds.proven) + line('both instances recorded as running elsewhere', seconds.running) + line('both answer pings', seconds.answering));
process.stdout.write(`\n- noticed within ${Math.max(...seconds.noticed).toFixed(1)} s (goal ≤ 15): ${verdict(Math.max(...seconds.noticed) <= 15)}\n`);
process.stdout.write(`- running again ${Math.max(...seconds.afterProof).toFixed(1)} s after the proof, ${Math.max(...seconds.running).toFixed(1)} s after the failure (goal ≤ 90): ${verdict(Math.max(...seconds.running) <= 90)}\n`);
