// Runs the rounds of bulk-stats and prints the table; see scripts/bench/bulk-stats.
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

interface Round { readonly wallMs: number; readonly cpuMs: number; readonly domains: number; readonly fields: number }

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '15' }, domains: { type: 'string', default: '1000' } } });
/** rounds that are not counted: compilers and caches warm up */
const warmUp = 5;
const rounds = Number(values.rounds);
const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

class Helper {
  private readonly lines: AsyncIterator<string>;
  private readonly child: ChildProcess;
  private readonly reader: Interface;
  constructor(program: string, args: string[]) {
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.reader = createInterface({ input: this.child.stdout as NodeJS.ReadableStream });
    this.lines = this.reader[Symbol.asyncIterator]();
  }
  async ask<T>(word: string): Promise<T> {
    this.child.stdin?.write(`${word}\n`);
    return this.answer<T>();
  }
  async answer<T>(): Promise<T> {
    const { value, done } = await this.lines.next();
    if (done === true) throw new Error(`${this.child.spawnargs.join(' ')} ended`);
    return JSON.parse(value) as T;
  }
  end(): void {
    this.child.stdin?.end();
  }
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;

const tsx = (script: string, argument: string) => new Helper(process.execPath, ['--import', 'tsx', file(script), argument]);
const server = tsx('bulk-stats-server.ts', values.domains);
const { uri, replyBytes } = await server.answer<{ uri: string; replyBytes: number }>();
const ours = tsx('bulk-stats-client.ts', uri);
const others = new Helper('/usr/bin/python3', [file('bulk-stats.py'), uri]);

const measured: Record<string, Round[]> = { ours: [], python: [], virsh: [] };
const turns: { readonly longestTurnMs: number; readonly longestTurnCpuMs: number }[] = [];
for (let i = 0; i < warmUp + rounds; i++) {
  const round = { ours: await ours.ask<Round>('ours'), python: await others.ask<Round>('python'), virsh: await others.ask<Round>('virsh') };
  const turn = await ours.ask<(typeof turns)[number]>('turns');
  if (i < warmUp) continue;
  for (const [name, one] of Object.entries(round)) {
    measured[name]?.push(one);
    if (one.domains !== round.ours.domains || one.fields !== round.ours.fields) throw new Error(`${name} read something else: ${JSON.stringify(round)}`);
  }
  turns.push(turn);
}
for (const helper of [ours, others, server]) helper.end();

const names: Record<string, string> = { ours: 'src/libvirt', python: 'python3-libvirt', virsh: '`virsh domstats --raw` (with its start)' };
const [first] = measured['ours'] ?? [];
console.log(`Bulk statistics: ${first?.domains} domains × ${Math.round((first?.fields ?? 0) / (first?.domains ?? 1))} fields, ${(replyBytes / 1e6).toFixed(1)} MB; medians of ${rounds} interleaved rounds after ${warmUp}.\n`);
console.log('| client | CPU ms | CPU, ours = 1 | wall ms | wall, ours = 1 |\n|---|---:|---:|---:|---:|');
const reference = { cpu: median((measured['ours'] ?? []).map((one) => one.cpuMs)), wall: median((measured['ours'] ?? []).map((one) => one.wallMs)) };
for (const [name, list] of Object.entries(measured)) {
  const [cpu, wall] = [median(list.map((one) => one.cpuMs)), median(list.map((one) => one.wallMs))];
  console.log(`| ${names[name]} | ${cpu.toFixed(1)} | ${(cpu / reference.cpu).toFixed(2)} | ${wall.toFixed(1)} | ${(wall / reference.wall).toFixed(2)} |`);
}
const [byClock, byCpu] = [turns.map((turn) => turn.longestTurnMs), turns.map((turn) => turn.longestTurnCpuMs)];
console.log(`\nLongest round of our event loop while receiving and decoding: median ${median(byClock).toFixed(1)} ms (${median(byCpu).toFixed(1)} ms of CPU), worst of ${turns.length}: ${Math.max(...byClock).toFixed(1)} ms (${Math.max(...byCpu).toFixed(1)} ms of CPU).`);
