// Measures live migration by the portal and by virsh; scripts/bench/migrate starts what this needs. Two like guests stand side by
// side, one the portal's, one only virsh's, and both go to and fro between two hosts. The portal is told to use what virsh uses.
import { setTimeout as delay } from 'node:timers/promises';
import { addressOf, inGuest, labHosts, makeInstance, makeKey, makeTwin, movedBy, movedByVirsh, pinging, until, type LabHost } from './lab-guests.ts';
import { median, openGate, openPortal, verdict } from './portal-api.ts';

const [url = '', data = '', roundsText = '9'] = process.argv.slice(2);
const rounds = Number(roundsText);
const portal = await openPortal(url, `${data}/bench-token`);
await openGate(data);
const [left, right] = await labHosts(portal, data) as [LabHost, LabHost];
const key = await makeKey();

interface Moved { readonly elapsedMs: number; readonly downtimeMs: number | null; readonly lost: number }

/** Writes 8 MiB over and over, some 30 MiB a second where nothing else runs: fast for an emulated processor, slow enough to converge. */
const load = "mount -t tmpfs -o size=40m t /mnt; while :; do dd if=/dev/urandom of=/mnt/x bs=1M count=8 conv=notrunc 2>/dev/null; usleep 250000; done >/dev/null 2>&1 </dev/null & echo $!";

async function timed(address: string, move: () => Promise<Omit<Moved, 'lost'>>): Promise<Moved> {
  const pings = pinging(address);
  await delay(500);
  const moved = await move();
  return { ...moved, lost: await pings.stop() };
}

try {
  const instance = await makeInstance(portal, left, { memoryMib: 256, sshKey: key.publicKey });
  const twin = await makeTwin(instance, left, left);
  const addresses = { portal: await addressOf(data, instance.mac), virsh: await addressOf(data, twin.mac) };
  for (const address of Object.values(addresses)) await until(`${address} over SSH`, 120, () => inGuest(key.file, address, 'echo up'));
  await delay(5000);

  const table: [string, Moved[], Moved[]][] = [];
  let [from, to] = [left, right];
  for (const kind of ['idle', 'dirtying memory'] as const) {
    const [byPortal, byVirsh]: [Moved[], Moved[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      const ways = {
        portal: async () => { byPortal.push(await timed(addresses.portal, () => movedBy(portal, instance.id, to))); },
        virsh: async () => { byVirsh.push(await timed(addresses.virsh, () => movedByVirsh(twin, from, to))); },
      };
      for (const way of round % 2 === 0 ? ['portal', 'virsh'] as const : ['virsh', 'portal'] as const) {
        const job = kind === 'idle' ? null : (await inGuest(key.file, addresses[way], load)).trim();
        await delay(1500);
        await ways[way]();
        // a guest that was slowed down to converge may not answer at once
        if (job !== null) await until(`${addresses[way]} over SSH after ${way}`, 60, () => inGuest(key.file, addresses[way], `kill ${job}; umount -l /mnt; echo ended`));
        await delay(500);
      }
      [from, to] = [to, from];
      process.stderr.write(`${kind}: round ${round + 1} of ${rounds}\n`);
    }
    table.push([kind, byPortal, byVirsh]);
  }
  report(table);
} finally {
  await key.close();
}

function report(table: readonly [string, readonly Moved[], readonly Moved[]][]): void {
  const of = (moves: readonly Moved[], key: keyof Moved): number => median(moves.map((move) => move[key] ?? NaN));
  const range = (moves: readonly Moved[]): string => `${Math.min(...moves.map((move) => move.elapsedMs)).toFixed(0)} – ${Math.max(...moves.map((move) => move.elapsedMs)).toFixed(0)}`;
  process.stdout.write(`| guest (median of ${rounds}) | way | total ms | least – most | pause ms | pings lost of 50/s |\n|---|---|---|---|---|---|\n`);
  for (const [kind, ...ways] of table) {
    for (const [index, moves] of ways.entries()) {
      process.stdout.write(`| ${kind} | ${index === 0 ? 'portal' : 'virsh migrate'} | ${of(moves, 'elapsedMs').toFixed(0)} | ${range(moves)} | ${of(moves, 'downtimeMs').toFixed(0)} | ${of(moves, 'lost')} |\n`);
    }
  }
  process.stdout.write('\n');
  for (const [kind, mine, theirs] of table) {
    const ratio = of(mine, 'elapsedMs') / of(theirs, 'elapsedMs');
    process.stdout.write(`- ${kind}: total ${ratio.toFixed(2)} × virsh (goal ≤ 1.1): ${verdict(ratio <= 1.1)}; pause ${(of(mine, 'downtimeMs') / of(theirs, 'downtimeMs')).toFixed(2)} ×; `);
    process.stdout.write(`pings lost ${of(mine, 'lost')} and ${of(theirs, 'lost')}: ${verdict(of(mine, 'lost') <= of(theirs, 'lost'))}\n`);
  }
}
