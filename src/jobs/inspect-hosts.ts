// What is wrong with hosts that answer all the same: a bridge that is gone, a clock that has drifted, a certificate that ends soon,
// a shared pool that is not mounted any more. Looked at when a host comes up and every hour, and shown on its page with its age.
import { setTimeout as delay } from 'node:timers/promises';
import { readHostFacts } from '../operations/host-facts.ts';
import { sharingProblem, warningsOf } from '../operations/host-findings.ts';
import { inspectHost } from '../operations/host-inspect.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { checkMigrationAddress } from '../operations/migration-address.ts';
import type { Host } from '../model/host.ts';
import { selectHostChecks, upsertHostCheck } from '../store/host-checks.ts';
import { selectHosts } from '../store/hosts.ts';
import { selectPoolsByHost } from '../store/storage-pools.ts';

/** Longer: what broke is seen late. Shorter: each look makes a file in every pool and asks all other hosts. */
const everyMs = 3_600_000;
const callTimeoutMs = 20_000;
/** Between two hosts, so that they are not all asked about each other at once. */
const pauseMs = 1000;

/** The run of the job; it remembers since when each host has been connected. */
export function createInspectHosts(deps: OperationDeps): (signal: AbortSignal) => Promise<void> {
  const connectedAt = new Map<string, number>();
  return async (signal) => {
    const [hosts, checks] = await Promise.all([selectHosts(deps.db), selectHostChecks(deps.db)]);
    for (const host of hosts) {
      if (signal.aborted) return;
      if (host.state !== 'up' || !deps.hosts.has(host.id)) continue;
      const { status } = deps.hosts.host(host.id);
      const checkedAt = checks.get(host.id)?.at ?? 0;
      // another portal may have looked just now
      const isNew = connectedAt.get(host.id) !== status.since && checkedAt < status.since;
      if (status.state !== 'up' || (!isNew && deps.clock.now() - checkedAt < everyMs)) continue;
      try {
        await inspect(deps, host, signal);
        connectedAt.set(host.id, status.since);
      } catch (error) {
        // whether it is reachable is for others to say
        if (!signal.aborted) deps.log.warn({ hostId: host.id, host: host.name, err: error }, 'host not inspected');
      }
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  };
}

async function inspect(deps: OperationDeps, host: Host, signal: AbortSignal): Promise<void> {
  const hypervisor = deps.hosts.host(host.id);
  const call = { timeoutMs: callTimeoutMs, signal };
  const { facts, domainTypes, hasVmxOrSvm } = await readHostFacts(hypervisor, host.virtTypeWish, call);
  const [inspection, address, pools] = await Promise.all([
    inspectHost(deps, hypervisor, facts.virtType, host.id, call), checkMigrationAddress(deps, host, host.hostUuid, call), selectPoolsByHost(deps.db, host.id),
  ]);
  const warnings = warningsOf(inspection, { virtType: facts.virtType, hasVmxOrSvm, hasKvmDomains: domainTypes.includes('kvm') }, { network: host.network, pools }, deps.clock.now());
  if (address !== null && inspection.otherNetworks.length > 0) warnings.push(address);
  for (const { name, path, shared } of pools) {
    const pool = inspection.pools.find((each) => each.name === name && each.path === path);
    const problem = pool === undefined ? undefined : sharingProblem(pool, shared);
    // disks are in danger: before everything else
    if (problem !== undefined) warnings.unshift(problem);
  }
  await upsertHostCheck(deps.db, host.id, { at: deps.clock.now(), networks: inspection.networks, clock: inspection.clock, certificates: inspection.certificates, warnings });
}
