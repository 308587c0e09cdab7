// The polling tick of the portal in a process of its own: tick-collector.ts DATABASE_URL. Reads "tick" or "turns" a line, does
// one tick with all that belongs to it, answers with JSON. "turns" watches the event loop, which costs CPU, and so is a
// round of its own.
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
const collect = createCollectMetrics(deps, { pollIntervalMs: 10_000 });
const never = new AbortController().signal;
setMaxListeners(0, never);

export interface Tick { readonly wallMs: number; readonly cpuMs: number; readonly rssMib: number }
export interface Turns { readonly longestTurnMs: number; readonly longestTurnCpuMs: number }

async function tick(): Promise<Tick> {
  const [began, used] = [performance.now(), process.cpuUsage()];
  await collect(never);
  await evaluateGate(deps);
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
  process.stdout.write(`${JSON.stringify(line === 'turns' ? await turns() : await tick())}\n`);
}
await hosts.close();
await db.close();
