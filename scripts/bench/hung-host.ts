// Measures what one hung host does to the others; scripts/bench/hung-host starts what this needs. How long each host's poll took
// is read from the portal's log; two pages (the top page, and the list of instances by the API) are asked for all the while.
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { labHosts, makeInstance, root, run, until } from './lab-guests.ts';
import { changeSettings, median, openGate, openPortal, verdict } from './portal-api.ts';

const [url = '', data = '', roundsText = '3'] = process.argv.slice(2);
const rounds = Number(roundsText);
const periodMs = 60_000;
const portal = await openPortal(url, `${data}/bench-token`);
await openGate(data);
const hosts = await labHosts(portal, data);
const victim = hosts[hosts.length - 1];
if (victim === undefined) throw new Error('the lab has no hosts');
// away from the host that will hang: what runs there would be fenced and restarted, which is another benchmark
await changeSettings(data, { availability: { enabled: false } });
for (const host of hosts.slice(0, -1)) await makeInstance(portal, host, { memoryMib: 128 });
await delay(20_000);

interface Period { readonly polls: number[]; readonly pages: number[]; readonly lists: number[] }
const log = `${data}/log/portal.log`;

async function pollsSince(offset: number): Promise<number[]> {
  const text = (await readFile(log)).subarray(offset).toString();
  return text.split('\n').filter((line) => line.includes('"host polled"')).map((line) => JSON.parse(line) as { hostId: string; elapsedMs: number })
    .filter((line) => line.hostId !== victim?.id).map((line) => line.elapsedMs);
}

async function timed(ask: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await ask();
  return performance.now() - startedAt;
}

async function period(): Promise<Period> {
  const offset = (await stat(log)).size;
  const [pages, lists]: [number[], number[]] = [[], []];
  const end = Date.now() + periodMs;
  while (Date.now() < end) {
    pages.push(await timed(async () => (await fetch(`${url}/`)).text()));
    lists.push(await timed(() => portal.request('GET', '/instances?owner=all')));
    await delay(150);
  }
  return { polls: await pollsSince(offset), pages, lists };
}

const quiet: Period[] = [];
const hung: Period[] = [];
for (let round = 0; round < rounds; round++) {
  quiet.push(await period());
  await run(`${root}/scripts/lab`, ['freeze', data, String(victim.number)]);
  await until('the hung host is noticed', 60, async () => ((await portal.request<{ state: string }>('GET', `/hosts/${victim.id}`)).state === 'unreachable' ? true : undefined));
  hung.push(await period());
  await run(`${root}/scripts/lab`, ['thaw', data, String(victim.number)]);
  await until('the host is back', 60, async () => ((await portal.request<{ state: string }>('GET', `/hosts/${victim.id}`)).state === 'up' ? true : undefined));
  await delay(10_000);
  process.stderr.write(`round ${round + 1} of ${rounds}\n`);
}

process.stdout.write(`| median of ${rounds} × ${periodMs / 1000} s | none hung | one of ${hosts.length} hung | ratio |\n|---|---|---|---|\n`);
for (const [what, key] of [['poll of one of the other hosts, ms', 'polls'], ['top page, ms', 'pages'], ['list of instances, ms', 'lists']] as const) {
  const [before, during] = [quiet, hung].map((periods) => median(periods.flatMap((one) => one[key])));
  const ratio = (during ?? NaN) / (before ?? NaN);
  process.stdout.write(`| ${what} | ${before?.toFixed(1)} | ${during?.toFixed(1)} | ${ratio.toFixed(2)} (goal within 10 %: ${verdict(ratio <= 1.1)}) |\n`);
}
