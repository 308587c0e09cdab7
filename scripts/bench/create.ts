// Measures "create → running" three ways and prints the medians; scripts/bench/create starts what this needs.
// All end with the same guest: a qcow2 disk on the demo image, one vCPU, 256 MiB. virsh defines the very XML that the
// portal made (other name, UUID, MAC and files), so that only the way there differs. Nothing of the cleaning up is timed.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { median, openGate, openPortal, verdict, type Operation } from './portal-api.ts';

const run = promisify(execFile);
const [url = '', tokenFile = '', hostUri = '', poolPath = '', roundsText = '9'] = process.argv.slice(2);
const rounds = Number(roundsText);
const work = await mkdtemp(path.join(tmpdir(), 'bench-'));
const small = { vcpus: 1, memoryMib: 256, diskGib: 10 };

const portal = await openPortal(url, tokenFile);
const virsh = async (...args: string[]): Promise<string> => (await run('virsh', ['-q', '-c', hostUri, ...args])).stdout;

async function removeInstance(instanceId: string): Promise<void> {
  await portal.ended(await portal.request<Operation>('DELETE', `/instances/${instanceId}`));
}

/** From sending the request to the end of the operation, by the clock that both share. */
async function byPortal(imageId: string, diskGib: number): Promise<{ elapsedMs: number; instanceId: string }> {
  const startedAt = Date.now();
  const accepted = await portal.request<Operation>('POST', '/instances', { name: `b-${randomUUID().slice(0, 8)}`, imageId, ...small, diskGib });
  const done = await portal.ended(accepted);
  return { elapsedMs: Date.parse(done.endedAt) - startedAt, instanceId: done.instanceId };
}

/** The portal's calls to libvirt, each a virsh of its own; the sum of their times. Without a seed: linked clone, define, start. */
async function byVirsh(pattern: Pattern, diskGib: number, withSeed: boolean): Promise<number> {
  const name = `v-${randomUUID().slice(0, 8)}`;
  const uuid = randomUUID();
  const xmlFile = path.join(work, `${name}.xml`);
  await writeFile(xmlFile, likePattern(pattern, name, uuid, withSeed));
  const startedAt = performance.now();
  await virsh('vol-create-as', 'default', `${name}.qcow2`, `${diskGib}G`, '--format', 'qcow2', '--backing-vol', pattern.image, '--backing-vol-format', 'qcow2');
  if (withSeed) {
    await virsh('vol-create-as', 'default', `${name}-seed.iso`, String((await stat(pattern.seed)).size), '--format', 'raw');
    await virsh('vol-upload', `${name}-seed.iso`, pattern.seed, '--pool', 'default');
  }
  await virsh('define', xmlFile);
  const definedAt = performance.now();
  await virsh('start', uuid);
  startTimes.push(performance.now() - definedAt);
  const elapsedMs = performance.now() - startedAt;
  await removeDomain(uuid, `${name}.qcow2`, ...(withSeed ? [`${name}-seed.iso`] : []));
  return elapsedMs;
}

/** What libvirt and QEMU take by themselves: the part that no way can save. */
const startTimes: number[] = [];

/** What the portal made, for virsh to make again. */
interface Pattern { readonly xml: string; readonly image: string; readonly seed: string }

function likePattern({ xml }: Pattern, name: string, uuid: string, withSeed: boolean): string {
  const seeded = withSeed ? xml.replace(/[^/']*-seed\.iso/, `${name}-seed.iso`) : xml.replace(/<disk (?:(?!<\/disk>)[\s\S])*-seed\.iso[\s\S]*?<\/disk>/, '');
  return seeded
    .replace(/<metadata>[\s\S]*?<\/metadata>/, '')
    .replace(/<name>[^<]*<\/name>/, `<name>${name}</name>`)
    .replace(/<uuid>[^<]*<\/uuid>/, `<uuid>${uuid}</uuid>`)
    .replace(/<mac address='[^']*'\/>/g, `<mac address='52:54:00:be:${uuid.slice(0, 2)}:${uuid.slice(2, 4)}'/>`)
    .replace(/[^/']*\.qcow2(?='\/>)/, `${name}.qcow2`);
}

async function readPattern(instanceId: string): Promise<Pattern> {
  const xml = await virsh('dumpxml', '--inactive', '--security-info', instanceId);
  const sources = [...xml.matchAll(/<source file='([^']+)'/g)].map((match) => match[1] ?? '');
  const disk = await virsh('vol-dumpxml', sources.find((source) => source.endsWith('.qcow2')) ?? '');
  const image = /<backingStore>\s*<path>([^<]+)</.exec(disk)?.[1];
  const seedSource = sources.find((source) => source.endsWith('-seed.iso'));
  if (image === undefined || seedSource === undefined) throw new Error(`not the domain that was expected:\n${xml}`);
  const seed = path.join(work, 'seed.iso');
  await copyFile(seedSource, seed);
  return { xml, image: path.basename(image), seed };
}

async function byVirtInstall(image: string, diskGib: number): Promise<number> {
  const name = `i-${randomUUID().slice(0, 8)}`;
  const disk = path.join(poolPath, `${name}.qcow2`);
  const startedAt = performance.now();
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', path.join(poolPath, image), disk, `${diskGib}G`]);
  await run('virt-install', [
    '--connect', hostUri, '--name', name, '--import', '--vcpus', String(small.vcpus), '--memory', String(small.memoryMib), '--virt-type', 'qemu',
    '--disk', `path=${disk},format=qcow2,bus=virtio`, '--network', 'network=lan,model=virtio', '--graphics', 'vnc,listen=0.0.0.0',
    '--osinfo', 'generic', '--noautoconsole', '--quiet',
  ]);
  const elapsedMs = performance.now() - startedAt;
  const uuid = (await virsh('domuuid', name)).trim();
  await virsh('pool-refresh', 'default');
  await removeDomain(uuid, `${name}.qcow2`);
  return elapsedMs;
}

async function removeDomain(uuid: string, ...volumes: readonly string[]): Promise<void> {
  await virsh('destroy', uuid);
  await virsh('undefine', uuid);
  for (const volume of volumes) await virsh('vol-delete', volume, 'default');
}

interface Ways { readonly [way: string]: () => Promise<number> }

/** Every way once a round, in another order each round, so that what the machine does besides meets all of them. */
async function interleaved(ways: Ways): Promise<Record<string, number[]>> {
  const names = Object.keys(ways);
  const times: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] ?? '';
      times[name]?.push((await ways[name]?.()) ?? NaN);
      await delay(300);
    }
    process.stderr.write(`round ${round + 1} of ${rounds}\n`);
  }
  return times;
}

await openGate(path.dirname(poolPath));
const images = await portal.request<{ items: { id: string; name: string }[] }>('GET', '/images');
const imageId = images.items[0]?.id ?? '';
// the first creation warms caches on both sides, and its domain is the pattern for virsh's
const first = await byPortal(imageId, small.diskGib);
const pattern = await readPattern(first.instanceId);
await removeInstance(first.instanceId);

const timed = (diskGib: number) => async (): Promise<number> => {
  const { elapsedMs, instanceId } = await byPortal(imageId, diskGib);
  await removeInstance(instanceId);
  return elapsedMs;
};
try {
  const times = await interleaved({
    'portal, 10 GiB': timed(10),
    'portal, 20 GiB': timed(20),
    'portal, 40 GiB': timed(40),
    'virsh, the same calls': () => byVirsh(pattern, small.diskGib, true),
    'virsh without the seed (linked clone, define, start)': () => byVirsh(pattern, small.diskGib, false),
    'qemu-img create + virt-install --import, no seed': () => byVirtInstall(pattern.image, small.diskGib),
  });
  report(times);
} finally {
  await rm(work, { recursive: true });
}

function report(times: Record<string, number[]>): void {
  const medians = Object.values(times).map(median);
  const [at10 = NaN, at20 = NaN, at40 = NaN, virshMs = NaN, , installMs = NaN] = medians;
  process.stdout.write(`| way (median of ${rounds}, interleaved) | ms | least – most | portal / this |\n|---|---|---|---|\n`);
  for (const [name, values] of Object.entries({ ...times, 'virsh start alone': startTimes })) {
    const middle = median(values);
    process.stdout.write(`| ${name} | ${middle.toFixed(0)} | ${Math.min(...values).toFixed(0)} – ${Math.max(...values).toFixed(0)} | ${(at10 / middle).toFixed(2)} |\n`);
  }
  const spread = (Math.max(at10, at20, at40) / Math.min(at10, at20, at40) - 1) * 100;
  process.stdout.write(`\n- portal / virsh ${(at10 / virshMs).toFixed(2)} (goal ≤ 1.15): ${verdict(at10 <= 1.15 * virshMs)}\n`);
  process.stdout.write(`- portal / virt-install ${(at10 / installMs).toFixed(2)} (goal ≤ 0.5): ${verdict(at10 <= 0.5 * installMs)}; virsh start alone / virt-install ${(median(startTimes) / installMs).toFixed(2)}\n`);
  process.stdout.write(`- 10, 20 and 40 GiB differ by ${spread.toFixed(1)} % (goal ≤ 20 %): ${verdict(spread <= 20)}\n`);
}
