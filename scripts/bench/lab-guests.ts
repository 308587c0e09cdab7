// Guests on a lab for benchmarks: the portal's own, and twins of them that only virsh knows, made from the same XML.
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Operation, Portal } from './portal-api.ts';

export const run = promisify(execFile);
export const root = path.resolve(import.meta.dirname, '../..');

export interface LabHost { readonly number: number; readonly name: string; readonly socketUri: string; readonly peerUri: string; readonly id: string }

export async function labHosts(portal: Portal, data: string): Promise<LabHost[]> {
  const { hosts } = JSON.parse((await run(`${root}/scripts/lab`, ['status', data])).stdout) as { hosts: Omit<LabHost, 'id'>[] };
  const { items } = await portal.request<{ items: { id: string; name: string }[] }>('GET', '/hosts');
  return hosts.map((host) => ({ ...host, id: items.find((item) => item.name === host.name)?.id ?? '' }));
}

export async function virsh(host: LabHost, ...args: string[]): Promise<string> {
  return (await run('virsh', ['-q', '-c', host.socketUri, ...args])).stdout;
}

/** A folder with a key pair; removed by `close`. */
export async function makeKey(): Promise<{ readonly file: string; readonly publicKey: string; close(): Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'bench-key-'));
  const file = path.join(folder, 'key');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  return { file, publicKey: (await readFile(`${file}.pub`, 'utf8')).trim(), close: () => rm(folder, { recursive: true }) };
}

export async function inGuest(key: string, address: string, command: string): Promise<string> {
  const options = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR', '-o', 'ConnectTimeout=5', '-o', 'BatchMode=yes'];
  return (await run('ssh', ['-i', key, ...options, `root@${address}`, command])).stdout;
}

export async function until<T>(what: string, seconds: number, look: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await delay(300);
  }
}

export interface Instance { readonly id: string; readonly name: string; readonly state: string; readonly mac: string; readonly host: { readonly id: string; readonly name: string } | null }

/** A running instance of the demo image, moved to `host` if it was placed elsewhere. */
export async function makeInstance(portal: Portal, host: LabHost, { memoryMib, sshKey = '' }: { readonly memoryMib: number; readonly sshKey?: string }): Promise<Instance> {
  const { items } = await portal.request<{ items: { id: string }[] }>('GET', '/images');
  const asked = await portal.request<Operation>('POST', '/instances', { name: `b-${randomUUID().slice(0, 8)}`, imageId: items[0]?.id, vcpus: 1, memoryMib, diskGib: 1, sshKey, ha: true });
  const { instanceId } = await portal.ended(asked);
  const instance = await portal.request<Instance>('GET', `/instances/${instanceId}`);
  if (instance.host?.id !== host.id) await movedBy(portal, instanceId, host);
  return portal.request<Instance>('GET', `/instances/${instanceId}`);
}

export interface Move { readonly id: string; readonly downtimeMs: number | null; readonly transferredBytes: number | null }

/** Resolves when the move has ended; milliseconds from sending the request to the end, by the clock that both share. */
export async function movedBy(portal: Portal, instanceId: string, to: LabHost): Promise<Move & { readonly elapsedMs: number }> {
  const startedAt = Date.now();
  const { items } = await portal.request<{ items: { move: Move | null; refusal: string | null }[] }>('POST', '/moves', { instanceIds: [instanceId], toHostId: to.id });
  const move = items[0]?.move;
  if (!move) throw new Error(`not moved: ${items[0]?.refusal}`);
  const { endedAt } = await portal.ended(move);
  return { ...(await portal.request<Move>('GET', `/moves/${move.id}`)), elapsedMs: Date.parse(endedAt) - startedAt };
}

/** The address that the lab's DHCP gave it. */
export async function addressOf(data: string, mac: string): Promise<string> {
  return until(`an address of ${mac}`, 90, async () => (await readFile(`${data}/lan/leases`, 'utf8')).split('\n').map((line) => line.split(' ')).find((words) => words[1] === mac)?.[2]);
}

export interface Twin { readonly uuid: string; readonly name: string; readonly mac: string }

/** The same guest under another name, UUID and MAC address, with a disk on the same image, started on `host`; the portal does not know it. */
export async function makeTwin(instance: Instance, on: LabHost, host: LabHost): Promise<Twin> {
  const uuid = randomUUID();
  const twin = { uuid, name: `twin-${uuid.slice(0, 8)}`, mac: `52:54:00:be:${uuid.slice(0, 2)}:${uuid.slice(2, 4)}` };
  const pattern = await virsh(on, 'dumpxml', '--inactive', '--security-info', instance.id);
  const disk = /<source file='([^']+\.qcow2)'/.exec(pattern)?.[1] ?? '';
  const image = /<backingStore>\s*<path>([^<]+)</.exec(await virsh(on, 'vol-dumpxml', disk))?.[1] ?? '';
  // the seed, which carries the key, is read-only: both may read it
  const xml = pattern
    .replace(/<metadata>[\s\S]*?<\/metadata>/, '').replace(/<name>[^<]*<\/name>/, `<name>${twin.name}</name>`).replace(/<uuid>[^<]*<\/uuid>/, `<uuid>${uuid}</uuid>`)
    .replace(/<mac address='[^']*'\/>/g, `<mac address='${twin.mac}'/>`).replace(path.basename(disk), `${twin.name}.qcow2`);
  const file = path.join(tmpdir(), `${twin.name}.xml`);
  await writeFile(file, xml);
  await virsh(host, 'vol-create-as', 'default', `${twin.name}.qcow2`, '1G', '--format', 'qcow2', '--backing-vol', path.basename(image), '--backing-vol-format', 'qcow2');
  await virsh(host, 'define', file);
  await virsh(host, 'start', uuid);
  await rm(file);
  return twin;
}

export async function movedByVirsh(twin: Twin, from: LabHost, to: LabHost): Promise<{ readonly elapsedMs: number; readonly downtimeMs: number }> {
  const startedAt = performance.now();
  await virsh(from, 'migrate', '--live', '--p2p', '--persistent', '--undefinesource', '--auto-converge', '--tls', twin.uuid, to.peerUri);
  const elapsedMs = performance.now() - startedAt;
  const info = await virsh(to, 'domjobinfo', twin.uuid, '--completed', '--keep-completed');
  return { elapsedMs, downtimeMs: Number(/Total downtime:\s+(\d+)/.exec(info)?.[1] ?? NaN) };
}

/** Fifty a second until stopped; resolves with how many of them were not answered. */
export function pinging(address: string): { stop(): Promise<number> } {
  const child = spawn('ping', ['-n', '-q', '-i', '0.02', address], { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => { text += chunk.toString(); });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    async stop() {
      // the last one asked may still be under way
      await delay(500);
      child.kill('SIGINT');
      await ended;
      const [, sent = NaN, received = NaN] = (/(\d+) packets transmitted, (\d+) received/.exec(text) ?? []).map(Number);
      return Math.max(0, sent - received);
    },
  };
}
