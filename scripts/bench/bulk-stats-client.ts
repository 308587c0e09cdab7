// Our client for bulk-stats, in a process of its own: reads "ours" or "turns" a line, does one round, answers with JSON.
// "turns" watches the event loop, which costs CPU, and so is a round of its own.
import { createInterface } from 'node:readline';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';

const host = openHypervisor(process.argv[2] ?? '');
await host.ready();

async function round(): Promise<{ wallMs: number; cpuMs: number; domains: number; fields: number }> {
  const [began, used] = [performance.now(), process.cpuUsage()];
  const stats = await host.domain.getAllStats(['state', 'cpu-total', 'balloon', 'vcpu', 'interface', 'block', 'dirtyrate'], { timeoutMs: 60_000 });
  const { user, system } = process.cpuUsage(used);
  let fields = 0;
  for (const { params } of stats) fields += Object.keys(params).length;
  return { wallMs: performance.now() - began, cpuMs: (user + system) / 1000, domains: stats.length, fields };
}

/**
 * The longest round of the event loop while one reply is received and decoded, by the clock and by CPU time: on a busy
 * machine the clock also counts the time in which somebody else had the processor.
 */
async function longestTurn(): Promise<{ longestTurnMs: number; longestTurnCpuMs: number }> {
  let [longestTurnMs, longestTurnCpuMs] = [0, 0];
  let [last, lastCpu] = [performance.now(), process.cpuUsage()];
  let watching = true;
  const watch = () => {
    const [now, cpu] = [performance.now(), process.cpuUsage()];
    longestTurnMs = Math.max(longestTurnMs, now - last);
    longestTurnCpuMs = Math.max(longestTurnCpuMs, (cpu.user + cpu.system - lastCpu.user - lastCpu.system) / 1000);
    [last, lastCpu] = [now, cpu];
    if (watching) setImmediate(watch);
  };
  setImmediate(watch);
  await round();
  watching = false;
  return { longestTurnMs, longestTurnCpuMs };
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = line === 'turns' ? await longestTurn() : await round();
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await host.close();
