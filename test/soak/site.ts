// Where the soak happens: hosts, real ones of a lab or fake ones, with what can be seen on them without the portals.
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { updateFence } from '../../src/store/fences.ts';
import type { Lab } from '../helpers/lab.ts';
import { createLabCloud } from '../helpers/lab-cloud.ts';
import { createCloud, imageVolume } from '../helpers/cloud.ts';
import { FakeDirectory } from '../helpers/fake-libvirtd/storage.ts';
import { fakeHostTarget, labHostTarget, type Target } from './target.ts';

export interface Site {
  readonly databaseUrl: string;
  readonly imageId: string;
  readonly size: { readonly vcpus: number; readonly memoryMib: number; readonly diskGib: number };
  readonly hosts: readonly Target[];
  /** portals find fence agents there; absent: none of the hosts has one */
  readonly fenceAgents?: string;
  /** by instance: the hosts that execute it, looked at past libvirt */
  copies(): Promise<Map<string, string[]>>;
  /** ids of all domains that hosts know, running or not */
  domains(): Promise<Set<string>>;
  /** names of the files in the pools that are not images */
  volumes(): Promise<string[]>;
  close(): Promise<void>;
}

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

/** Real libvirtds and QEMU; guests of 96 MiB. Every host has a fence agent, so machines of one that is away are started elsewhere. */
export async function labSite(lab: Lab): Promise<Site> {
  const cloud = await createLabCloud(lab);
  // clone disks are on the shared pool; the image in host 1's own pool is not offered
  await cloud.db.execute('UPDATE images SET enabled = 0 WHERE id = ?', [cloud.images.local.id]);
  for (const [index, { number }] of lab.hosts.entries()) await updateFence(cloud.db, cloud.hostIds[index] ?? '', { agent: 'fence_lab', parameters: { plug: String(number) }, sealed: null });
  return {
    fenceAgents: lab.fenceAgents,
    databaseUrl: cloud.url, imageId: cloud.images.shared.id, size: { vcpus: 1, memoryMib: 96, diskGib: 1 },
    hosts: lab.hosts.map(({ number }) => labHostTarget(lab, number)),
    async copies() {
      const found = new Map<string, string[]>();
      for (const { number, name, state } of (await lab.status()).hosts) {
        if (state === 'off' || state === 'frozen') continue;
        // QEMU's -uuid is a word of its own; a receiving QEMU waits paused and is a copy too
        const words = await lab.exec(number, 'sh', '-c', "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -A1 -x -e -uuid || true");
        for (const line of words.split('\n')) if (uuid.test(line)) found.set(line.trim(), [...(found.get(line.trim()) ?? []), name]);
      }
      return found;
    },
    async domains() {
      const found = new Set<string>();
      for (const id of cloud.hostIds) for (const domain of await cloud.deps.hosts.host(id).domain.listAll()) found.add(domain.uuid);
      return found;
    },
    async volumes() {
      const names = await readdir(lab.sharedPoolPath);
      const local = (await Promise.all(lab.hosts.map(({ number }) => lab.exec(number, 'ls', lab.localPoolPath)))).flatMap((text) => text.split('\n'));
      return [...names, ...local].filter((name) => uuid.test(name));
    },
    close: () => cloud.close(),
  };
}

/** Hosts that exist in this process's memory only. */
export async function fakeSite(hosts: number): Promise<Site> {
  const directory = new FakeDirectory('/srv/default');
  const cloud = await createCloud({
    quota: 100,
    fakes: Array.from({ length: hosts }, (_, index) => ({ listen: { tcpPort: 0 }, hostname: `host${index}`, migrationMs: 800, vncBasePort: 5900 + 1000 * index, keepRequests: false, pools: [{ name: 'default', directory }] })),
  });
  // hosts reach each other by the addresses the portals use
  for (const [index, fake] of cloud.fakes.entries()) await cloud.db.execute('UPDATE hosts SET migration_uri = ? WHERE id = ?', [fake.uri, cloud.hostIds[index] ?? '']);
  return {
    databaseUrl: cloud.url, imageId: cloud.image.id, size: { vcpus: 1, memoryMib: 512, diskGib: 2 },
    hosts: cloud.fakes.map((fake, index) => fakeHostTarget(fake, `host${index}`)),
    copies: async () => {
      const found = new Map<string, string[]>();
      for (const [index, fake] of cloud.fakes.entries()) for (const [id, domain] of fake.domains) if (domain.isActive) found.set(id, [...(found.get(id) ?? []), `host${index}`]);
      return found;
    },
    domains: async () => new Set(cloud.fakes.flatMap((fake) => [...fake.domains.keys()])),
    volumes: async () => [...new Set(cloud.fakes.flatMap((fake) => [...fake.host.pool('default').directory.files.keys()]))].filter((name) => name !== imageVolume && uuid.test(name)),
    close: () => cloud.close(),
  };
}

export const newRunId = (): string => randomUUID().slice(0, 8);
