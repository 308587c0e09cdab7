// The portal's own machine, measured by the portal itself, each portal for itself: a subject beside the hosts.
import { readFile } from 'node:fs/promises';
import { mem } from 'systeminformation';
import { hostSample, type HostReading } from '../model/metrics.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { insertSampleSubject } from '../store/sample-subjects.ts';
import { insertHostSamples } from '../store/samples.ts';

const mib = 2 ** 20;
/** The kernel counts in hundredths of a second. */
const nsPerTick = 1e7;

export function createMeasurePortal({ db, clock }: Pick<OperationDeps, 'db' | 'clock'>, portal: { readonly id: string }): () => Promise<void> {
  let before: HostReading | undefined;

  return async () => {
    const reading = await readMachine();
    const at = clock.now();
    await insertHostSamples(db, [hostSample(before, reading, await insertSampleSubject(db, portal.id, at), at)]);
    before = reading;
  };
}

/** systeminformation would start a shell for the CPU's figures and wait for it; the kernel's own line says more. */
async function readMachine(): Promise<HostReading> {
  const [stat, memory] = await Promise.all([readFile('/proc/stat', 'latin1'), mem()]);
  const cachedBytes = memory.buffers + memory.cached;
  return {
    monotonicMs: performance.now(),
    ...readCpu(stat),
    memoryUsedMib: Math.round((memory.total - memory.free - cachedBytes) / mib),
    memoryTotalMib: Math.round(memory.total / mib),
    memoryCachedMib: Math.round(cachedBytes / mib),
    swapUsedMib: Math.round(memory.swapused / mib),
    swapTotalMib: Math.round(memory.swaptotal / mib),
  };
}

/** The line of all CPUs: user nice system idle iowait irq softirq steal. */
function readCpu(stat: string): Pick<HostReading, 'userNs' | 'systemNs' | 'iowaitNs' | 'idleNs' | 'stealNs'> {
  const ticks = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '').split(' ').map((text) => Number(text) * nsPerTick);
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = ticks;
  return { userNs: user + nice, systemNs: system + irq + softirq, iowaitNs: iowait, idleNs: idle, stealNs: steal };
}
