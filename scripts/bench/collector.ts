// Runs the collectors of scripts/bench/collector one after the other on one real libvirtd and prints the table.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { buildDomainXml } from '../../src/libvirt/domain-xml.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { buildVolumeXml } from '../../src/libvirt/volume-xml.ts';
import { createTestDatabase } from '../../test/helpers/database.ts';
import { startPrivateLibvirtd, type PrivateLibvirtd } from '../../test/helpers/private-libvirtd.ts';
import { Helper, macOf, portalOptions, seedFleet } from './fleet.ts';
import type { Tick } from './tick-collector.ts';

const { values } = parseArgs({ options: { guests: { type: 'string', default: '30' }, ticks: { type: 'string', default: '24' } } });
const [guests, ticks] = [Number(values.guests), Number(values.ticks)];
const tickMs = 1000;
/** ticks before ours is measured, and milliseconds between them */
const [warmUp, warmUpMs] = [150, 220];
const exporterPort = 19_177;
/** until the firmware has looked for something to boot */
const settleMs = 15_000;

interface Measured { readonly clientMs: number; readonly daemonMs: number }

/** CPU time of a process and all its threads so far, in milliseconds. */
async function cpuMs(pid: number | undefined): Promise<number> {
  let ns = 0;
  for (const thread of await readdir(`/proc/${pid}/task`)) ns += Number((await readFile(`/proc/${pid}/task/${thread}/schedstat`, 'latin1')).split(' ')[0]);
  return ns / 1e6;
}

/** Milliseconds of CPU an instance and tick, the client's and the daemon's; `each` does a tick, or nothing for who ticks by itself. */
async function measure(pid: number | undefined, daemon: number, each: () => Promise<unknown>): Promise<Measured> {
  for (let n = 0; n < 6; n++) await Promise.all([each(), delay(tickMs)]);
  const before = [await cpuMs(pid), await cpuMs(daemon)] as const;
  for (let n = 0; n < ticks; n++) await Promise.all([each(), delay(tickMs)]);
  return { clientMs: ((await cpuMs(pid)) - before[0]) / guests / ticks, daemonMs: ((await cpuMs(daemon)) - before[1]) / guests / ticks };
}

async function startGuests(libvirtd: PrivateLibvirtd): Promise<string[]> {
  const host = openHypervisor(libvirtd.uri);
  await host.ready();
  const ids = Array.from({ length: guests }, () => randomUUID());
  for (const [n, id] of ids.entries()) {
    await host.storageVolume.createXML(libvirtd.pool, buildVolumeXml({ name: `vm-${n}.qcow2`, capacityBytes: 2 ** 30, format: 'qcow2' }));
    await host.domain.defineXML(buildDomainXml({
      uuid: id, name: `vm-${n}`, virtType: 'qemu', arch: 'x86_64', vcpus: 2, memoryMib: 32, disks: [{ device: 'disk', path: `${libvirtd.poolPath}/vm-${n}.qcow2`, format: 'qcow2', target: 'vda', bus: 'virtio' }],
      interface: { kind: 'network', network: libvirtd.network, mac: macOf(n) }, instance: { id, owner: 'bench' },
    }));
    // with nothing to boot they soon stand still, which collectd does not take for the same as a paused one
    await host.domain.create(id);
  }
  await host.close();
  await delay(settleMs);
  return ids;
}

/** The libvirtd that lives in this host's namespaces. */
async function daemonPid(libvirtd: PrivateLibvirtd): Promise<number> {
  const namespaceOf = (pid: string): Promise<string> => readlink(`/proc/${pid}/ns/mnt`).catch(() => '');
  const [host = ''] = (await readFile(`${libvirtd.dir}/host1/pid`, 'latin1')).split(/\s/);
  const wanted = await namespaceOf(host);
  for (const pid of await readdir('/proc')) {
    if ((await readFile(`/proc/${pid}/comm`, 'latin1').catch(() => '')).trim() === 'libvirtd' && (await namespaceOf(pid)) === wanted) return Number(pid);
  }
  throw new Error('the private libvirtd is not among the processes');
}

async function stopped(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

async function ours(libvirtd: PrivateLibvirtd, ids: readonly string[], daemon: number, detailTicks: number): Promise<Measured> {
  const database = await createTestDatabase();
  await seedFleet(database.db, { hosts: [{ index: 0, uri: libvirtd.uri, guests: ids }], stop: () => undefined });
  // the addresses of guests that run are looked for beside the collecting, which the others do not do
  await database.db.execute("UPDATE instances SET state = 'paused'");
  const collector = new Helper('tick-collector.ts', [database.url, tickMs, tickMs * detailTicks], portalOptions);
  try {
    await collector.answer();
    // a portal runs for months: its compiler has long seen all this
    for (let n = 0; n < warmUp; n++) await Promise.all([collector.ask<Tick>('collect'), delay(warmUpMs)]);
    return await measure(collector.child.pid, daemon, () => collector.ask<Tick>('collect'));
  } finally {
    collector.end();
    await once(collector.child, 'exit');
    await database.close();
  }
}

async function collectd(libvirtd: PrivateLibvirtd, daemon: number, keeps: boolean): Promise<Measured> {
  const folder = `${libvirtd.dir}/collectd${keeps ? '-csv' : ''}`;
  await mkdir(folder);
  const csv = keeps ? `LoadPlugin csv\n<Plugin csv>\n  DataDir "${folder}"\n  StoreRates true\n</Plugin>\n` : '';
  await writeFile(`${folder}/collectd.conf`, `Hostname "bench"\nFQDNLookup false\nInterval ${tickMs / 1000}\nBaseDir "${folder}"\nLoadPlugin virt\n<Plugin virt>\n  Connection "${libvirtd.uri}"\n  RefreshInterval 60\n  HostnameFormat name\n</Plugin>\n${csv}`);
  const child = spawn('collectd', ['-f', '-C', `${folder}/collectd.conf`, '-P', `${folder}/pid`], { stdio: ['ignore', 'ignore', 'ignore'] });
  try {
    const measured = await measure(child.pid, daemon, () => Promise.resolve());
    if (keeps && (await readdir(folder, { recursive: true })).filter((name) => name.includes('disk_octets-vda')).length < guests) throw new Error('collectd has not measured all guests');
    return measured;
  } finally {
    await stopped(child);
  }
}

async function exporter(libvirtd: PrivateLibvirtd, daemon: number): Promise<Measured> {
  const child = spawn('prometheus-libvirt-exporter', ['--libvirt.uri', libvirtd.uri, '--web.listen-address', `127.0.0.1:${exporterPort}`], { stdio: 'ignore' });
  try {
    let text = '';
    const scrape = async (): Promise<void> => { text = await (await fetch(`http://127.0.0.1:${exporterPort}/metrics`)).text(); };
    for (let tries = 0; text === '' && tries < 100; tries++) await scrape().catch(() => delay(50));
    const measured = await measure(child.pid, daemon, scrape);
    if ((text.match(/^libvirt_domain_block_stats_read_bytes_total\{/gm) ?? []).length < guests) throw new Error(`the exporter has not measured all guests:\n${text.slice(0, 2000)}`);
    return measured;
  } finally {
    await stopped(child);
  }
}

const libvirtd = await startPrivateLibvirtd();
try {
  const ids = await startGuests(libvirtd);
  const daemon = await daemonPid(libvirtd);
  const rows: [name: string, measured: Measured][] = [
    ['ours, all samples in the database, dear groups every sixth tick', await ours(libvirtd, ids, daemon, 6)],
    ['ours, everything at every tick', await ours(libvirtd, ids, daemon, 1)],
    ['collectd, plugin virt, nothing kept', await collectd(libvirtd, daemon, false)],
    ['collectd, plugin virt, kept by plugin csv', await collectd(libvirtd, daemon, true)],
    ['prometheus-libvirt-exporter, a scrape', await exporter(libvirtd, daemon)],
  ];
  const better = Math.min(...rows.slice(2).map(([, { clientMs }]) => clientMs));
  console.log(`CPU of an instance and tick on one libvirtd with ${guests} guests, ${ticks} ticks of ${tickMs / 1000} s each.\n`);
  console.log('| collector | its CPU, µs | of the better peer | libvirtd’s CPU, µs |\n|---|---:|---:|---:|');
  for (const [name, { clientMs, daemonMs }] of rows) console.log(`| ${name} | ${(clientMs * 1000).toFixed(0)} | ${(clientMs / better).toFixed(2)} | ${(daemonMs * 1000).toFixed(0)} |`);
  const share = (rows[0]?.[1].clientMs ?? Number.NaN) / better;
  console.log(`\nCPU an instance and tick, ours / the better peer: ${share.toFixed(2)}, goal ≤ 1: ${share <= 1 ? 'reached' : 'MISSED'}`);
} finally {
  await libvirtd.stop();
}
