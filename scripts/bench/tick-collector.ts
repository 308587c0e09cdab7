// The polling tick of the portal in a process of its own: tick-collector.ts DATABASE_URL [POLL_MS DETAIL_MS]. Reads a word a line, does
// one tick with all that belongs to it, answers with JSON. "tick": as the portal does it; "collect": without the admission
// gate, which is moved with it; "turns": watching the event loop, which costs CPU, and so is a round of its own.
import { setMaxListeners } from 'node:events';
import { createInterface } from 'node:readline';
import { systemClock as clock } from '../../src/clock.ts';
import { createCollectMetrics } from '../../src/jobs/collect-metrics.ts';
import { evaluateGate } from '../../src/jobs/evaluate-gate.ts';
import { createFleet, fleetConnections } from '../../src/libvirt/fleet.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { createLog } from '../../src/log.ts';
import { openDatabase } from '../../src/store/db.ts';
import { selectHosts } from '../../src/store/hosts.ts';

const db = openDatabase([process.argv[2] ?? '']);
const hosts = createFleet((uri, options) => openHypervisor(uri, { ...fleetConnections, ...options }));
const deps = { db, hosts, clock, log: createLog('silent') };
const known = await selectHosts(db);
hosts.sync(known);
for (const { id } of known) await hosts.host(id).ready({ timeoutMs: 60_000 });
const [pollIntervalMs = 10_000, detailIntervalMs = 60_000] = process.argv.slice(3).map(Number);
const collect = createCollectMetrics(deps, { pollIntervalMs, detailIntervalMs });
const never = new AbortController().signal;
setMaxListeners(0, never);

export interface Tick { readonly wallMs: number; readonly cpuMs: number; readonly rssMib: number }
export interface Turns { readonly longestTurnMs: number; readonly longestTurnCpuMs: number }

async function tick(withGate = true): Promise<Tick> {
  const [began, used] = [performance.now(), process.cpuUsage()];
  await collect(never);
  if (withGate) await evaluateGate(deps);
  const { user, system } = process.cpuUsage(used);
  return { wallMs: performance.now() - began, cpuMs: (user + system) / 1000, rssMib: process.memoryUsage.rss() / 2 ** 20 };
}

/** The longest round of the event loop, by the clock and by CPU: beside others the clock also counts waiting for a core. */
async function turns(): Promise<Turns> {
  let [longestTurnMs, longestTurnCpuMs] = [0, 0];
  let [last, lastCpu] = [performance.now(), process.cpuUsage()];
  let watching = true;
  const watch = (): void => {
    const [now, cpu] = [performance.now(), process.cpuUsage()];
    longestTurnMs = Math.max(longestTurnMs, now - last);
    longestTurnCpuMs = Math.max(longestTurnCpuMs, (cpu.user + cpu.system - lastCpu.user - lastCpu.system) / 1000);
    [last, lastCpu] = [now, cpu];
    if (watching) setImmediate(watch);
  };
  setImmediate(watch);
  await tick();
  watching = false;
  return { longestTurnMs, longestTurnCpuMs };
}

process.stdout.write(`${JSON.stringify({ hosts: known.length })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(line === 'turns' ? await turns() : await tick(line === 'tick'))}\n`);
}
await hosts.close();
await db.close();
