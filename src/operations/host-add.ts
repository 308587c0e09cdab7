// Takes a host into management: checks it, then writes what was found and what the admin chose.
import { AppError } from '../errors.ts';
import type { Host } from '../model/host.ts';
import type { Database } from '../store/db.ts';
import { upsertHostCheck } from '../store/host-checks.ts';
import { insertHost, selectHost, selectHostPools, selectOptionalHostByName, updateHost, updateHostContact, updateHostFacts } from '../store/hosts.ts';
import { selectPool, unlinkHostPoolIfUnused, upsertPool } from '../store/storage-pools.ts';
import { checkHost, proposedChoices, type HostReport } from './host-check.ts';
import { sharingProblem } from './host-findings.ts';
import type { InspectDeps } from './host-inspect.ts';
import { hostProblem, type HostProblem } from './host-problem.ts';

export interface HostDeps extends InspectDeps {
  readonly db: Database;
}

export interface HostInput {
  readonly name: string;
  readonly uri: string;
  /** left out: the host of the URI */
  readonly consoleAddress?: string;
  /** by which other hosts reach it; null: made from `uri`; left out: as it is */
  readonly migrationUri?: string | null;
  /** left out: the network of the other hosts, or the one called "default", or the first that is active */
  readonly network?: string;
  /** left out: every active pool of files, shared where other hosts see the same files, or libvirt mounts it from a server */
  readonly pools?: readonly { readonly name: string; readonly shared: boolean }[];
  readonly virtTypeWish?: Host['virtTypeWish'];
}

interface Chosen { readonly network: string; readonly pools: readonly { readonly name: string; readonly shared: boolean }[] }

/**
 * Adds the host, or brings the one of that name up to date. Throws AppError: invalid with the problem beside its field when
 * the host cannot be used, conflict when the name belongs to another machine. Run again it changes nothing more.
 */
export async function addHost(deps: HostDeps, input: HostInput): Promise<{ readonly host: Host; readonly created: boolean }> {
  const existing = await selectOptionalHostByName(deps.db, input.name);
  const report = await lookAt(deps, input, existing);
  if (existing !== undefined && existing.hostUuid !== null && existing.hostUuid !== report.facts.hostUuid) throw problemError(hostProblem('name-taken', { name: existing.name }, 'name'));
  const chosen = choose(report, input);
  const wanted = {
    name: input.name, uri: input.uri, network: chosen.network, virtTypeWish: input.virtTypeWish ?? existing?.virtTypeWish ?? 'auto',
    consoleAddress: input.consoleAddress ?? existing?.consoleAddress ?? report.suggestedConsoleAddress,
    ...(input.migrationUri === undefined ? {} : { migrationUri: input.migrationUri }),
  };
  const id = existing?.id ?? crypto.randomUUID();
  if (existing !== undefined) await updateHost(deps.db, id, wanted);
  // off until its pools are there: placement must not find half a host
  else if (!(await insertHost(deps.db, { ...wanted, id, wish: 'disabled', createdAt: deps.clock.now() }))) throw problemError(hostProblem('name-taken', { name: input.name }, 'name'));
  if (existing === undefined && wanted.migrationUri != null) await updateHost(deps.db, id, { migrationUri: wanted.migrationUri });
  await recordReport(deps, id, report, chosen);
  if (existing === undefined) await updateHost(deps.db, id, { wish: 'enabled' });
  return { host: await selectHost(deps.db, id), created: existing === undefined };
}

/** Changes a host's connection, network or pools, after a check with the new values. */
export async function changeHost(deps: HostDeps, host: Host, input: HostInput): Promise<void> {
  const report = await lookAt(deps, input, host);
  if (host.hostUuid !== null && report.facts.hostUuid !== host.hostUuid) throw problemError(hostProblem('other-machine', { name: host.name }));
  const chosen = choose(report, input);
  const renamed = await updateHost(deps.db, host.id, {
    name: input.name, uri: input.uri, network: chosen.network, virtTypeWish: input.virtTypeWish ?? host.virtTypeWish,
    consoleAddress: input.consoleAddress ?? host.consoleAddress, ...(input.migrationUri === undefined ? {} : { migrationUri: input.migrationUri }),
  });
  if (!renamed) throw problemError(hostProblem('name-taken', { name: input.name }, 'name'));
  await recordReport(deps, host.id, report, chosen);
}

async function lookAt(deps: HostDeps, input: HostInput, host: Host | undefined): Promise<HostReport> {
  const migrationUri = input.migrationUri === undefined ? (host?.migrationUri ?? null) : input.migrationUri;
  const check = await checkHost(deps, input.uri, {
    virtTypeWish: input.virtTypeWish ?? 'auto', migrationUri, ...(host === undefined ? {} : { hostId: host.id }),
    ...(input.network === undefined || input.pools === undefined ? {} : { choices: { network: input.network, pools: input.pools } }),
  });
  if (!check.ok) throw problemError(check.problem);
  // moves that go to another machine than the one they were meant for, or nowhere, are no choice of an admin
  const wrong = check.report.warnings.find(({ kind }) => kind === 'migration-other-machine' || kind === 'invalid-uri');
  if (wrong !== undefined) throw problemError(wrong);
  return check.report;
}

function choose(report: HostReport, input: HostInput): Chosen {
  const proposed = proposedChoices(report);
  return { network: chooseNetwork(report, input.network ?? proposed.network), pools: choosePools(report, input.pools ?? proposed.pools) };
}

function chooseNetwork(report: HostReport, wanted: string | null): string {
  const network = report.networks.find((each) => each.name === wanted);
  if (network === undefined) throw problemError(hostProblem('no-network', { name: wanted ?? '', found: report.networks.map((each) => each.name).join(', ') || '–' }, 'network'));
  if (!network.active) throw problemError(hostProblem('network-inactive', { name: network.name }, 'network'));
  if (network.bridgeMissing === true) throw problemError(hostProblem('bridge-missing', { name: network.name, bridge: network.bridge ?? '' }, 'network'));
  return network.name;
}

function choosePools(report: HostReport, pools: Chosen['pools']): Chosen['pools'] {
  const found = report.pools.map((pool) => pool.name).join(', ') || '–';
  if (pools.length === 0) throw problemError(hostProblem('no-pool', { name: '', found }, 'pools'));
  for (const { name, shared } of pools) {
    const pool = report.pools.find((each) => each.name === name);
    if (pool === undefined) throw problemError(hostProblem('no-pool', { name, found }, 'pools'));
    if (!pool.active) throw problemError(hostProblem('pool-inactive', { name }, 'pools'));
    const problem = sharingProblem(pool, shared);
    if (problem !== undefined) throw problemError(problem);
  }
  return pools;
}

/** What the check found, written: facts, contact, pools; pools that were chosen before and are no more are let go. */
async function recordReport(deps: HostDeps, hostId: string, report: HostReport, chosen: Chosen): Promise<void> {
  const now = deps.clock.now();
  await updateHostFacts(deps.db, hostId, report.facts);
  await updateHostContact(deps.db, hostId, { state: 'up', at: now });
  await upsertHostCheck(deps.db, hostId, { at: now, networks: report.networks, clock: report.clock, certificates: report.certificates, warnings: report.warnings });
  const kept = new Set<string>();
  for (const { name, shared } of chosen.pools) {
    const pool = report.pools.find((each) => each.name === name);
    if (pool !== undefined) kept.add(await upsertPool(deps.db, { ...pool, hostId, shared }, now));
  }
  const before = (await selectHostPools(deps.db)).get(hostId) ?? new Set<string>();
  for (const poolId of before) {
    if (kept.has(poolId) || (await unlinkHostPoolIfUnused(deps.db, hostId, poolId))) continue;
    throw problemError(hostProblem('pool-in-use', { name: (await selectPool(deps.db, poolId)).name }, 'pools'));
  }
}

const conflicts: ReadonlySet<HostProblem['kind']> = new Set(['name-taken', 'known-host', 'other-machine', 'migration-other-machine', 'pool-in-use']);

/** The problem beside its field; pages show its fix too. */
export function problemError(problem: HostProblem): AppError {
  return new HostProblemError(conflicts.has(problem.kind) ? 'conflict' : 'invalid', problem);
}

export class HostProblemError extends AppError {
  readonly problem: HostProblem;
  constructor(kind: 'conflict' | 'invalid', problem: HostProblem) {
    super(kind, problem.sentence, { fields: { [problem.field]: problem.sentence } });
    this.problem = problem;
  }
}
