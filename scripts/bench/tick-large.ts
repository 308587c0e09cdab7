// Runs the rounds of tick-large and prints the table; see scripts/bench/tick-large.
import { parseArgs } from 'node:util';
import { createTestDatabase } from '../../test/helpers/database.ts';
import { Helper, median, portalOptions, seedFleet, startFleet } from './fleet.ts';
import type { Tick, Turns } from './tick-collector.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '7' }, hosts: { type: 'string', default: '1250' }, guests: { type: 'string', default: '16' } } });
const [rounds, hosts, guests] = [Number(values.rounds), Number(values.hosts), Number(values.guests)];
/** rounds that are not counted: compilers warm up, and after the portal's start every host is asked for everything twice */
const warmUp = 3;

const database = await createTestDatabase();
const fleet = await startFleet(hosts, guests, 2);
let collector: Helper | undefined;
try {
  await seedFleet(database.db, fleet);
  collector = new Helper('tick-collector.ts', [database.url], portalOptions);
  await collector.answer();
  const [ticks, turns]: [Tick[], Turns[]] = [[], []];
  for (let round = 0; round < warmUp + rounds; round++) {
    const one = { tick: await collector.ask<Tick>('tick'), turns: await collector.ask<Turns>('turns') };
    if (round < warmUp) continue;
    ticks.push(one.tick);
    turns.push(one.turns);
  }
  const [written] = await database.db.query<{ n: number }>('SELECT COUNT(DISTINCT subject_id) AS n FROM instance_samples WHERE network_receive_bps > 0 AND disk_write_bps > 0');
  if (written?.n !== hosts * guests) throw new Error(`${written?.n} instances have all their rates`);
  const worst = (list: readonly number[]): number => Math.max(...list);
  const [wall, turn, turnCpu, rss] = [worst(ticks.map(({ wallMs }) => wallMs)), worst(turns.map((one) => one.longestTurnMs)), worst(turns.map((one) => one.longestTurnCpuMs)), worst(ticks.map(({ rssMib }) => rssMib))];
  const reached = (good: boolean): string => (good ? 'reached' : 'MISSED');
  console.log(`One tick of ${hosts} hosts with ${guests} running instances each, all samples in the database; ${rounds} rounds after ${warmUp}.\n`);
  console.log('| what | median | worst | goal | |\n|---|---:|---:|---:|---|');
  console.log(`| wall | ${median(ticks.map(({ wallMs }) => wallMs)).toFixed(0)} ms | ${wall.toFixed(0)} ms | ≤ 10,000 ms | ${reached(wall <= 10_000)} |`);
  console.log(`| CPU | ${median(ticks.map(({ cpuMs }) => cpuMs)).toFixed(0)} ms | ${worst(ticks.map(({ cpuMs }) => cpuMs)).toFixed(0)} ms | | |`);
  console.log(`| longest turn of the event loop, by the clock | ${median(turns.map((one) => one.longestTurnMs)).toFixed(0)} ms | ${turn.toFixed(0)} ms | ≤ 50 ms | ${reached(turn <= 50)} |`);
  console.log(`| the same, CPU it used | ${median(turns.map((one) => one.longestTurnCpuMs)).toFixed(0)} ms | ${turnCpu.toFixed(0)} ms | ≤ 50 ms | ${reached(turnCpu <= 50)} |`);
  console.log(`| RSS | ${median(ticks.map(({ rssMib }) => rssMib)).toFixed(0)} MiB | ${rss.toFixed(0)} MiB | < 600 MB | ${reached(rss * 2 ** 20 < 600e6)} |`);
} finally {
  collector?.end();
  fleet.stop();
  await database.close();
}
