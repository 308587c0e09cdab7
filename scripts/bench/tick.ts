// Runs the rounds of tick and prints the table; see scripts/bench/tick.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { createTestDatabase } from '../../test/helpers/database.ts';
import { Helper, median, portalOptions, seedFleet, startFleet } from './fleet.ts';
import type { Tick, Turns } from './tick-collector.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '9' }, hosts: { type: 'string', default: '40' }, guests: { type: 'string', default: '50' } } });
const [rounds, hosts, guests] = [Number(values.rounds), Number(values.hosts), Number(values.guests)];
/** rounds that are not counted: compilers warm up, and after the portal's start every host is asked for everything twice */
const warmUp = 5;

/** All hosts at once, each by its own virsh, as an administrator's script would. */
async function virsh(uris: readonly string[]): Promise<{ wallMs: number; domains: number }> {
  const began = performance.now();
  const counts = await Promise.all(uris.map(async (uri) => {
    const child = spawn('virsh', ['-c', uri, 'domstats', '--raw'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const pieces: Buffer[] = [];
    child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
    await once(child, 'close');
    return Buffer.concat(pieces).toString('latin1').split('Domain:').length - 1;
  }));
  return { wallMs: performance.now() - began, domains: counts.reduce((sum, count) => sum + count, 0) };
}

const database = await createTestDatabase();
const fleet = await startFleet(hosts, guests);
let collector: Helper | undefined;
try {
  await seedFleet(database.db, fleet);
  collector = new Helper('tick-collector.ts', [database.url], portalOptions);
  await collector.answer();
  const [ours, theirs, turns]: [Tick[], number[], Turns[]] = [[], [], []];
  for (let round = 0; round < warmUp + rounds; round++) {
    const one = { tick: await collector.ask<Tick>('tick'), virsh: await virsh(fleet.hosts.map(({ uri }) => uri)), turns: await collector.ask<Turns>('turns') };
    if (one.virsh.domains !== hosts * guests) throw new Error(`virsh saw ${one.virsh.domains} guests`);
    if (round < warmUp) continue;
    ours.push(one.tick);
    theirs.push(one.virsh.wallMs);
    turns.push(one.turns);
  }
  const [written] = await database.db.query<{ n: number }>('SELECT COUNT(DISTINCT subject_id) AS n FROM instance_samples WHERE network_receive_bps > 0 AND disk_write_bps > 0');
  if (written?.n !== hosts * guests) throw new Error(`${written?.n} instances have all their rates`);
  const [wall, cpu, reference] = [median(ours.map(({ wallMs }) => wallMs)), median(ours.map(({ cpuMs }) => cpuMs)), median(theirs)];
  const reached = (good: boolean): string => (good ? 'reached' : 'MISSED');
  console.log(`One tick of ${hosts} hosts with ${guests} running instances each, all samples in the database; medians of ${rounds} interleaved rounds after ${warmUp}.\n`);
  console.log('| what | measured | goal | |\n|---|---:|---:|---|');
  console.log(`| tick, wall | ${wall.toFixed(0)} ms | | |`);
  console.log(`| \`virsh domstats --raw\`, ${hosts} at once, wall | ${reference.toFixed(0)} ms | | |`);
  console.log(`| tick / virsh | ${(wall / reference).toFixed(2)} | ≤ 0.3 | ${reached(wall <= 0.3 * reference)} |`);
  console.log(`| CPU of a tick | ${cpu.toFixed(0)} ms | ≤ 1,000 ms | ${reached(cpu <= 1000)} |`);
  console.log(`| longest turn of the event loop, worst round | ${Math.max(...turns.map((turn) => turn.longestTurnMs)).toFixed(0)} ms, ${Math.max(...turns.map((turn) => turn.longestTurnCpuMs)).toFixed(0)} ms of CPU | | |`);
} finally {
  collector?.end();
  fleet.stop();
  await database.close();
}
