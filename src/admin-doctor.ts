// Looks at all the parts and says, for each that is wrong, what to do about it. Leaves nothing behind.
import { readdir, statfs } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Command, CommandDeps } from './admin-command.ts';
import { createFleet } from './libvirt/fleet.ts';
import type { Fleet } from './libvirt/hypervisor.ts';
import { checkHost } from './operations/host-check.ts';
import { sharingProblem } from './operations/host-findings.ts';
import type { Host } from './model/host.ts';
import { selectEnabledImages } from './store/images.ts';
import { selectHosts } from './store/hosts.ts';
import { selectPoolsByHost } from './store/storage-pools.ts';
import { selectRanMigrations, selectServer, selectServerTime } from './store/server.ts';
import { adminExists } from './store/users.ts';
import { sentenceText } from './web/locales/index.ts';

interface Finding {
  readonly what: string;
  readonly found: string;
  /** left out: it is well */
  readonly advice?: string;
}

const root = fileURLToPath(new URL('..', import.meta.url));
/** Sessions, leases and samples compare the clocks of portals and database: past this they quarrel. */
const clockToleranceMs = 2000;
/** Below this a database stops, and guests pause on their first write. */
const leastFreePercent = 5;

export const doctorCommands: Readonly<Record<string, Command>> = {
  doctor: {
    usage: 'doctor', summary: 'check configuration, database, hosts, clock and disk; say what is wrong and what to do', words: 0,
    async run(deps) {
      let wrong = 0;
      for await (const finding of examine(deps)) {
        if (finding.advice !== undefined) wrong++;
        deps.print(`${finding.advice === undefined ? 'ok   ' : 'WRONG'}  ${finding.what}: ${finding.found}${finding.advice === undefined ? '' : `\n       → ${finding.advice}`}`);
      }
      deps.print(wrong === 0 ? 'nothing is wrong' : `${wrong} ${wrong === 1 ? 'thing is' : 'things are'} wrong`);
      return wrong === 0 ? 0 : 1;
    },
  },
};

async function* examine(deps: CommandDeps): AsyncGenerator<Finding> {
  yield* examineConfiguration(deps);
  yield await examineDisk('disk of the portal', root);
  const database = await examineDatabase(deps);
  yield database;
  // everything else is asked of the database
  if (database.advice !== undefined) return;
  yield await examineClock(deps);
  const schema = await examineSchema(deps);
  yield schema;
  if (schema.advice !== undefined) return;
  yield (await adminExists(deps.db))
    ? { what: 'administrator', found: 'there is one' }
    : { what: 'administrator', found: 'none yet', advice: 'open the address that `scripts/admin setup-link` prints, or run `scripts/admin create-admin NAME`' };
  yield* examineHosts(deps);
}

async function* examineConfiguration({ config }: CommandDeps): AsyncGenerator<Finding> {
  // a bad value never comes this far: readConfig refuses it by name
  yield { what: 'configuration', found: `${config.publicUrl}, listening on ${config.listenAddress}:${config.port}` };
  const local = ['127.0.0.1', '::1', 'localhost'];
  if (config.publicUrl.startsWith('http:') && !local.includes(new URL(config.publicUrl).hostname)) {
    yield { what: 'encryption', found: 'PUBLIC_URL is http:', advice: 'passwords and sessions cross the network readable: put a reverse proxy with TLS in front and set PUBLIC_URL to https:' };
  }
  if (config.publicUrl.startsWith('https:') && config.trustProxy === '') {
    yield { what: 'reverse proxy', found: 'PUBLIC_URL is https: and TRUST_PROXY is not set', advice: 'the portal itself speaks http: set TRUST_PROXY to the address of the proxy that adds TLS, or cookies are not set' };
  }
  if (config.smtpUrl === undefined) yield { what: 'mail', found: 'SMTP_URL is not set: messages of the contact form are kept, not mailed' };
}

async function examineDisk(what: string, path: string): Promise<Finding> {
  const { bavail, blocks, bsize } = await statfs(path);
  const freePercent = (100 * bavail) / Math.max(1, blocks);
  return lowOnSpace(what, freePercent, bavail * bsize, 'free some space: logs, old images, snapshots');
}

function lowOnSpace(what: string, freePercent: number, freeBytes: number, advice: string): Finding {
  const found = `${(freeBytes / 1024 ** 3).toFixed(1)} GiB free (${freePercent.toFixed(0)} %)`;
  return freePercent >= leastFreePercent ? { what, found } : { what, found, advice };
}

async function examineDatabase({ db, config }: CommandDeps): Promise<Finding> {
  const what = 'database';
  try {
    const { version, engineAvailable } = await selectServer(db, config.databaseEngine);
    const [major = 0, minor = 0] = version.split('.').map(Number.parseFloat);
    const oldest = version.includes('MariaDB') ? [10, 11] as const : [8, 4] as const;
    if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) return { what, found: version, advice: 'MariaDB 10.11, MySQL 8.4 or newer is needed' };
    if (!engineAvailable) return { what, found: `${version}, engine ${config.databaseEngine} not available`, advice: 'set DATABASE_ENGINE to innodb, or point DATABASE_URL to SQL nodes of a MySQL Cluster' };
    return { what, found: `${version}, ${config.databaseEngine}` };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { what, found: `does not answer: ${cause instanceof Error ? cause.message : String(cause)}`, advice: 'is it running, and are name, password and address in DATABASE_URL right? With scripts/up: is it running?' };
  }
}

async function examineClock({ db, clock }: CommandDeps): Promise<Finding> {
  const before = clock.now();
  const there = await selectServerTime(db);
  const skewMs = Math.round(there - (before + clock.now()) / 2);
  const found = `${Math.abs(skewMs)} ms from the database's`;
  return Math.abs(skewMs) <= clockToleranceMs ? { what: 'clock', found } : { what: 'clock', found, advice: 'keep all machines in time with NTP (chrony or systemd-timesyncd)' };
}

async function examineSchema({ db }: CommandDeps): Promise<Finding> {
  const files = (await readdir(`${root}/migrations`)).filter((name) => name.endsWith('.sql') && name !== 'schema.sql');
  const ran = await selectRanMigrations(db);
  const missing = files.filter((name) => !ran.has(name));
  return missing.length === 0
    ? { what: 'schema', found: `${ran.size} migrations have run` }
    : { what: 'schema', found: `${missing.length} migrations have not run`, advice: 'run `scripts/admin migrate`, or start the portal, which does it' };
}

async function* examineHosts(deps: CommandDeps): AsyncGenerator<Finding> {
  const hosts = await selectHosts(deps.db);
  if (hosts.length === 0) {
    yield { what: 'hosts', found: 'none', advice: 'add one at Administration → Hosts, or with `scripts/admin add-host`' };
    return;
  }
  // one connection to each, through which the others ask it too
  const fleet = createFleet(deps.openHost);
  try {
    fleet.sync(hosts.map(({ id, uri }) => ({ id, uri })));
    for (const findings of await Promise.all(hosts.map((host) => examineHost({ ...deps, hosts: fleet }, host)))) yield* findings;
  } finally {
    await fleet.close();
  }
  const images = await selectEnabledImages(deps.db);
  yield images.length === 0
    ? { what: 'images', found: 'none', advice: 'register one at Administration → Images: without it nobody can create an instance' }
    : { what: 'images', found: images.map((image) => image.name).join(', ') };
}

async function examineHost(deps: CommandDeps & { readonly hosts: Fleet }, host: Host): Promise<Finding[]> {
  const what = `host ${host.name}`;
  const chosen = await selectPoolsByHost(deps.db, host.id);
  const check = await checkHost(deps, host.uri, { hostId: host.id, migrationUri: host.migrationUri, choices: { network: host.network, pools: chosen } });
  if (!check.ok) return [{ what, found: sentenceText(deps.t, check.problem.sentence), advice: sentenceText(deps.t, check.problem.fix) }];
  const { facts, pools, networks, hasVmxOrSvm, warnings } = check.report;
  const findings: Finding[] = [{ what, found: `libvirt ${facts.libvirtVersion}, QEMU ${facts.qemuVersion}, ${facts.virtType === 'kvm' ? 'KVM' : `software emulation (${hasVmxOrSvm ? 'libvirt offers no KVM' : 'the processor offers no vmx or svm'})`}` }];
  if (!networks.some((network) => network.name === host.network && network.active)) {
    findings.push({ what: `${what}, network`, found: `${host.network} is not active`, advice: `virsh -c '${host.uri}' net-start ${host.network}` });
  }
  const unshared = chosen.flatMap(({ name, shared }) => pools.filter((pool) => pool.name === name).flatMap((pool) => sharingProblem(pool, shared) ?? []));
  // what emulates has been said above, and is no fault of a host that cannot do otherwise
  for (const { sentence, fix } of [...unshared, ...warnings.filter(({ kind }) => kind !== 'no-kvm')]) findings.push({ what, found: sentenceText(deps.t, sentence), advice: sentenceText(deps.t, fix) });
  for (const pool of pools) {
    if (!pool.active) findings.push({ what: `${what}, pool ${pool.name}`, found: 'not active', advice: `virsh -c '${host.uri}' pool-start ${pool.name}` });
    else findings.push(lowOnSpace(`${what}, pool ${pool.name}`, (100 * pool.availableBytes) / Math.max(1, pool.capacityBytes), pool.availableBytes, 'free some space there, or add a pool: guests pause when a pool is full'));
  }
  return findings;
}
