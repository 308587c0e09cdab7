// Fencing with the tests' own agent (fence-agents/fence_test), whose faults are files in a folder.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createFencing, type Fencing, type FencingTimes } from '../../src/fencing/fencing.ts';

export const agentsDirectory = fileURLToPath(new URL('fence-agents', import.meta.url));
export const testAgent = 'fence_test';

export function testFencing(times: Partial<FencingTimes> = {}): Fencing {
  return createFencing({ directories: [agentsDirectory], sessionSecret: 'only for tests: 0123456789abcdef0123456789abcdef', times });
}

export type AgentFault = 'fail' | 'hang' | 'lie';

export interface FencedMachine {
  readonly directory: string;
  readonly parameters: Readonly<Record<string, string>>;
  power(): Promise<'on' | 'off'>;
  setPower(power: 'on' | 'off'): Promise<void>;
  /** from now on the agent waits until the machine has the power that it was told */
  applied(power: 'on' | 'off'): Promise<void>;
  fault(fault: AgentFault, on: boolean): Promise<void>;
  /** seconds that each action takes */
  slow(seconds: number): Promise<void>;
  /** actions asked for so far */
  calls(): Promise<string[]>;
  remove(): Promise<void>;
}

export async function createFencedMachine(): Promise<FencedMachine> {
  const directory = await mkdtemp(join(tmpdir(), 'fenced-'));
  const read = (name: string): Promise<string> => readFile(join(directory, name), 'utf8').catch(() => '');
  return {
    directory,
    parameters: { directory },
    power: async () => ((await read('power')).trim() === 'off' ? 'off' : 'on'),
    setPower: (power) => writeFile(join(directory, 'power'), power),
    applied: (power) => writeFile(join(directory, 'applied'), power),
    fault: (fault, on) => (on ? writeFile(join(directory, fault), '') : rm(join(directory, fault), { force: true })),
    slow: (seconds) => writeFile(join(directory, 'slow'), String(seconds)),
    calls: async () => (await read('calls')).split('\n').filter((line) => line !== ''),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
