// Users at work on several portals while parts of the cloud are killed and frozen; then: is everything there that was
// promised, and nothing else?
import { setTimeout as delay } from 'node:timers/promises';
import { createApiToken } from '../../src/store/api-tokens.ts';
import { openDatabase, type Database } from '../../src/store/db.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { countOpenOperations } from '../../src/store/operations.ts';
import { selectRecoveriesPage } from '../../src/store/recoveries.ts';
import { selectSettings, updateSettings } from '../../src/store/settings.ts';
import type { SettingsGroup } from '../../src/model/settings.ts';
import { logIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { Client } from '../helpers/portal.ts';
import { createPortalProcess, type PortalProcess } from '../helpers/portal-process.ts';
import { aftermathOf, LeaseWitness, type Aftermath } from './aftermath.ts';
import { attack, randomFrom, type Attack } from './attack.ts';
import { Balancer } from './balancer.ts';
import { acknowledgedChanges, books, gapMs, sampleGaps, type Finding, type Gap } from './invariants.ts';
import type { Site } from './site.ts';
import { machineTargets, portalTarget, type Group, type Target } from './target.ts';
import { newJournal, SoakUser, type Journal } from './user.ts';

export interface SoakOptions {
  readonly site: Site;
  /** of all SQL nodes, separated by commas; the n-th portal names the n-th first */
  readonly databaseUrl: string;
  /** of the cluster, where there is one */
  readonly nodes: readonly Target[];
  readonly portals: number;
  readonly users: number;
  readonly machinesPerUser: number;
  readonly lengthMs: number;
  readonly seed: number;
  readonly attacked: readonly Group[];
  readonly everyMs: readonly [number, number];
  readonly awayMs: readonly [number, number];
  readonly pauseMs: readonly [number, number];
  readonly pollMs: number;
  /** what operations get to end in when all works again */
  readonly settleMs: number;
  /** logs of the portals are added here */
  readonly logFolder?: string;
  log(line: string): void;
}

export interface SoakReport {
  readonly seed: number;
  readonly portals: number;
  readonly users: number;
  readonly from: number;
  readonly to: number;
  readonly attacks: readonly Aftermath[];
  readonly journal: Journal;
  readonly findings: readonly Finding[];
  readonly gaps: readonly Gap[];
  readonly gapMs: number;
  readonly settledMs: number;
  /** failures of hosts that were dealt with, by what proved them gone; null: they came back before */
  readonly recoveries: readonly { readonly proof: string | null; readonly total: number }[];
  /** of operations, by kind: how many ended so */
  readonly ends: readonly { readonly kind: string; readonly state: string; readonly total: number }[];
  readonly failures: readonly { readonly kind: string; readonly error: string; readonly total: number }[];
}

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const urls = options.databaseUrl.split(',');
  const db = openDatabase(urls, { connectionLimit: 5 });
  const portals: PortalProcess[] = [];
  try {
    for (let number = 1; number <= options.portals; number++) {
      const name = `portal${number}`;
      const own = (number - 1) % urls.length;
      portals.push(await createPortalProcess({
        name, databaseUrl: [...urls.slice(own), ...urls.slice(0, own)].join(','), env: { POLL_INTERVAL_MS: String(options.pollMs), ...(options.site.fenceAgents === undefined ? {} : { FENCE_AGENTS_PATH: options.site.fenceAgents }) }, ...(options.logFolder === undefined ? {} : { logFile: `${options.logFolder}/${name}.log` }),
      }));
    }
    await openWide(db);
    for (const portal of portals) await portal.start();
    return await run(options, db, portals);
  } finally {
    await Promise.all(portals.map((portal) => portal.kill()));
    await db.close();
  }
}

/** Longer than a user waits for one answer. */
const stopWithinMs = 180_000;

async function run(options: SoakOptions, db: Database, portals: readonly PortalProcess[]): Promise<SoakReport> {
  const { site, lengthMs, log } = options;
  const random = randomFrom(options.seed + 1);
  const stopping = new AbortController();
  const balancer = new Balancer(portals);
  const journal = newJournal();
  const users = await makeUsers(options, db, portals, { balancer, journal, random, signal: stopping.signal });
  const attacks: Attack[] = [];
  const single = [...portals.map(portalTarget), ...options.nodes, ...site.hosts];
  const targets = [...single, ...machineTargets(single)].filter(({ group }) => options.attacked.includes(group));
  const witness = new LeaseWitness();
  const over = new AbortController();
  const witnessing = witness.watch(db, 250, over.signal);
  const from = Date.now();
  log(`${users.length} users, ${portals.length} portals, ${targets.length} targets, seed ${options.seed}`);
  try {
    const working = users.map((user) => user.work());
    // the first samples come before the first attack
    await delay(Math.min(15_000, lengthMs / 6));
    const attacking = attack({ targets, random: randomFrom(options.seed), everyMs: options.everyMs, awayMs: options.awayMs, signal: stopping.signal, log }, attacks);
    const early = await Promise.race([delay(lengthMs, undefined, { ref: false }), attacking]).catch((error: unknown) => error);
    stopping.abort();
    if ((await Promise.race([Promise.all(working), delay(stopWithinMs, 'late' as const, { ref: false })])) === 'late') throw new Error('users do not come to an end');
    log(`users stopped: ${journal.acknowledged.length} changes, ${journal.looks.length} pages`);
    await attacking;
    over.abort();
    await witnessing;
    if (early instanceof Error) throw early;
    const to = Date.now();
    const settledMs = await settle(db, options.settleMs);
    // what reconciliation mends it has mended by its second look
    await delay(35_000);
    const findings = [...(await acknowledgedChanges(db, journal)), ...(await books(db, site))];
    const gaps = await sampleGaps(db, attacks, { from, to, pollMs: options.pollMs });
    log('deleting what is left');
    await Promise.all(users.map((user) => user.deleteAll(options.settleMs)));
    await settle(db, options.settleMs);
    findings.push(...await emptiness(db, site));
    const { recoveries } = await selectRecoveriesPage(db, 1, 1000);
    return {
      seed: options.seed, portals: portals.length, users: users.length, from, to, journal, findings: [...findings, pagesAnswered(journal), samplesWhole(gaps)], gaps, gapMs: gapMs(options.pollMs), settledMs,
      attacks: attacks.map((each) => aftermathOf(each, witness, journal.looks, recoveries)),
      recoveries: await db.query('SELECT proof, COUNT(*) AS total FROM recoveries GROUP BY proof ORDER BY proof'),
      ends: await db.query('SELECT kind, state, COUNT(*) AS total FROM operations GROUP BY kind, state ORDER BY kind, state'),
      failures: (await db.query<{ kind: string; error: Buffer | string; total: number }>("SELECT kind, error, COUNT(*) AS total FROM operations WHERE state = 'failed' GROUP BY kind, error ORDER BY total DESC LIMIT 15"))
        .map(({ kind, error, total }) => ({ kind, error: String(error), total })),
    };
  } finally {
    stopping.abort();
    over.abort();
    await witnessing;
    await balancer.close();
  }
}

/** The machine is busy with its own attacks: the gate would rightly refuse most of it. */
async function openWide(db: Database): Promise<void> {
  const settings = await selectSettings(db);
  const change = async <G extends SettingsGroup>(group: G, value: Partial<(typeof settings)[G]>): Promise<unknown> => updateSettings(db, group, { ...settings[group], ...value }, null, Date.now());
  await change('thresholds', { enabled: false });
  await change('placement', { maxCpuPercent: 100, maxMemoryPercent: 100 });
  await change('overcommit', { vcpus: 16, memory: 4, disk: 16 });
  await change('availability', { graceSeconds: 10 });
  await change('quota', { instances: 50, vcpus: 100, memoryMib: 65_536, diskGib: 1000 });
}

async function makeUsers(options: SoakOptions, db: Database, portals: readonly PortalProcess[], rest: Pick<ConstructorParameters<typeof SoakUser>[0], 'balancer' | 'journal' | 'random' | 'signal'>): Promise<SoakUser[]> {
  const users: SoakUser[] = [];
  for (let number = 0; number < options.users; number++) {
    const isAdmin = number === 0;
    const user = isAdmin ? await makeFirstAdmin(db, 'root') : await makeUser(db, `user${number}`);
    const { secret } = await createApiToken(db, { userId: user.id, name: 'soak', scope: 'write', expiresAt: Date.now() + 24 * 3_600_000 }, Date.now());
    const browser = new Client(portals[number % portals.length]?.url ?? '');
    await logIn(browser, user.name);
    users.push(new SoakUser({
      ...rest, token: secret, cookie: [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; '), imageId: options.site.imageId, size: options.site.size,
      machines: options.machinesPerUser, isAdmin, pauseMs: options.pauseMs,
    }));
  }
  return users;
}

/** Until no operation is open and every host is back; how long that took. */
async function settle(db: Database, withinMs: number): Promise<number> {
  const began = Date.now();
  const away = async (): Promise<boolean> => (await selectHosts(db)).some(({ state }) => state !== 'up');
  while (Date.now() - began < withinMs && ((await countOpenOperations(db)) > 0 || (await away()))) await delay(500);
  return Date.now() - began;
}

async function emptiness(db: Database, site: Site): Promise<Finding[]> {
  const [copies, domains, volumes] = [await site.copies(), await site.domains(), await site.volumes()];
  const rows = await db.query<{ id: string; state: string }>('SELECT id, state FROM instances');
  const used = await db.query<{ id: string }>('SELECT id FROM users WHERE used_instances <> 0 OR used_vcpus <> 0 OR used_memory_mib <> 0 OR used_disk_gib <> 0');
  const promised = await db.query<{ id: string }>('SELECT id FROM hosts WHERE used_vcpus <> 0 OR used_memory_mib <> 0 UNION SELECT id FROM storage_pools WHERE used_gib <> 0');
  return [{
    invariant: 'when all is deleted, nothing is left anywhere', checked: domains.size + volumes.length + rows.length,
    broken: [...copies.keys(), ...domains, ...volumes, ...rows.map(({ id, state }) => `${id} ${state}`), ...used.map(({ id }) => `usage of user ${id}`), ...promised.map(({ id }) => `promises of ${id}`)],
  }];
}

/** What a person waits for a page at most, with one portal dead, one SQL node dead and one host silent. */
export const pageWithinMs = 20_000;

function pagesAnswered({ looks, faults }: Journal): Finding {
  return {
    invariant: `every page came within ${pageWithinMs / 1000} s, and none said that the portal failed`, checked: looks.length,
    broken: [...looks.filter(({ status, elapsedMs }) => status === null || elapsedMs > pageWithinMs).map(({ path, at, elapsedMs }) => `${path} at ${new Date(at).toISOString()}: ${Math.round(elapsedMs)} ms`), ...faults],
  };
}

function samplesWhole(gaps: readonly Gap[]): Finding {
  return {
    invariant: 'gaps in the samples are those of what was attacked', checked: gaps.length,
    broken: gaps.filter(({ because }) => because.length === 0).map(({ host, from, to }) => `${host}: ${((to - from) / 1000).toFixed(0)} s from ${new Date(from).toISOString()}`),
  };
}
