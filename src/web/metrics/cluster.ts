// Figures of the whole cloud, from the database alone: hosts, pools, the gate, work that waits, jobs, portals. They are the
// same from every portal.
import { hostStates, hostStatus } from '../../model/host.ts';
import { clusterOwnerId } from '../../model/metric.ts';
import type { HostSample } from '../../model/metrics.ts';
import { countInstancesByHostAndState, selectWorkCounts } from '../../store/figures.ts';
import { selectGate } from '../../store/gate.ts';
import { selectCertificateEnds } from '../../store/host-checks.ts';
import { selectHosts } from '../../store/hosts.ts';
import { selectJobs } from '../../store/jobs.ts';
import { selectPortals } from '../../store/portals.ts';
import { selectOptionalSampleSubject } from '../../store/sample-subjects.ts';
import { latestWithin, selectLatestHostSamples } from '../../store/samples.ts';
import { selectPools } from '../../store/storage-pools.ts';
import { countUsersByState } from '../../store/users.ts';
import type { WebDeps } from '../deps.ts';
import { each, gauge, labelsOf, type Family, type Sample } from './exposition.ts';

const mib = 2 ** 20;
const gib = 2 ** 30;
const dayMs = 86_400_000;
const statuses = [...hostStates, 'maintenance', 'disabled'] as const;

type Deps = Pick<WebDeps, 'db' | 'clock' | 'config'>;

export async function clusterFamilies({ db, clock, config }: Deps): Promise<Family[]> {
  const now = clock.now();
  const [hosts, pools, clusterSubject, gate, work, jobs, portals, users, instances, certificateEnds] = await Promise.all([
    selectHosts(db), selectPools(db), selectOptionalSampleSubject(db, clusterOwnerId), selectGate(db), selectWorkCounts(db, now - dayMs), selectJobs(db),
    selectPortals(db), countUsersByState(db), countInstancesByHostAndState(db), selectCertificateEnds(db),
  ]);
  const portalSubjects = await Promise.all(portals.map(async (portal) => ({ portal, subjectId: await selectOptionalSampleSubject(db, portal.id) })));
  const subjectIds = [...hosts.map((host) => host.subjectId), ...[clusterSubject, ...portalSubjects.map(({ subjectId }) => subjectId)].flatMap((id) => id ?? [])];
  const samples = await selectLatestHostSamples(db, subjectIds, now, latestWithin(config.pollIntervalMs));
  const certificates = hosts.flatMap((host) => (certificateEnds.get(host.id) ?? []).map((end) => ({ host, ...end })));
  const hostNames = new Map(hosts.map((host) => [host.id, host.name]));
  const ofHosts = (value: (host: (typeof hosts)[number]) => number): Iterable<Sample> => each(hosts, (host) => [labelsOf({ host: host.name }), value(host)]);
  const measuredHosts = hosts.map((host): Measured => [{ host: host.name }, samples.get(host.subjectId)]);
  return [
    gauge('cloud_host_info', 'What a host is.', each(hosts, (host) => [labelsOf({
      host: host.name, arch: host.arch ?? '', virt_type: host.virtType ?? '', libvirt_version: host.libvirtVersion ?? '', qemu_version: host.qemuVersion ?? '',
    }), 1])),
    gauge('cloud_host_status', '1 for the status that a host has.', each(hosts.flatMap((host) => statuses.map((status) => ({ host, status }))), ({ host, status }) => [labelsOf({ host: host.name, status }), hostStatus(host) === status ? 1 : 0])),
    gauge('cloud_host_up', '1: the host answers.', ofHosts((host) => host.state === 'up' ? 1 : 0)),
    gauge('cloud_host_maintenance', '1: an administrator has put the host into maintenance, whether it answers or not.', ofHosts((host) => host.wish === 'maintenance' ? 1 : 0)),
    gauge('cloud_host_certificate_not_after_timestamp_seconds', 'When a certificate of a host’s TLS connection ends: its own, the portal’s, or of those that signed its own the first to end.', each(certificates, ({ host, of, notAfter }) => [labelsOf({ host: host.name, certificate: of }), notAfter / 1000])),
    gauge('cloud_host_cpus', 'CPUs of a host.', ofHosts((host) => host.cpus)),
    gauge('cloud_host_reserved_vcpus', 'vCPUs promised to machines on a host.', ofHosts((host) => host.usedVcpus)),
    gauge('cloud_host_reserved_memory_bytes', 'Memory promised to machines on a host.', ofHosts((host) => host.usedMemoryMib * mib)),
    ...machineFamilies('cloud_host', 'a host', measuredHosts),
    ...machineFamilies('cloud_cluster', 'all hosts together', [[{}, clusterSubject === undefined ? undefined : samples.get(clusterSubject)]]),
    ...machineFamilies('cloud_portal_machine', 'the machine that a portal runs on', portalSubjects.map(({ portal, subjectId }) => [{ portal: portal.name }, subjectId === undefined ? undefined : samples.get(subjectId)])),
    ...poolFamilies(pools),
    gauge('cloud_instances', 'Machines by state and host; without a host: creations that failed.', each(instances, ({ hostId, state, total }) => [labelsOf({ host: hostNames.get(hostId ?? '') ?? '', state }), total])),
    gauge('cloud_users', 'Accounts by state.', Object.entries(users).map(([state, total]) => [labelsOf({ state }), total])),
    gauge('cloud_gate_closed', '1: users may not apply for machines because of the load.', [['', gate.closed ? 1 : 0]]),
    ...workFamilies(work, now),
    gauge('cloud_job_start_timestamp_seconds', 'When a job was last begun on any portal.', jobs.map((job) => [labelsOf({ job_name: job.name }), seconds(job.startedAt)])),
    gauge('cloud_job_duration_seconds', 'How long a job’s last run took.', jobs.map((job) => [labelsOf({ job_name: job.name }), job.startedAt === null || job.endedAt === null || job.endedAt < job.startedAt ? null : (job.endedAt - job.startedAt) / 1000])),
    gauge('cloud_job_failed', '1: a job’s last run failed.', jobs.map((job) => [labelsOf({ job_name: job.name }), job.error === null ? 0 : 1])),
    gauge('cloud_portal_info', 'Portals that work on the database.', portals.map(({ name, version }) => [labelsOf({ portal: name, version }), 1])),
    gauge('cloud_portal_seen_timestamp_seconds', 'When a portal was last heard of.', portals.filter((portal) => portal.stoppedAt === null).map(({ name, seenAt }) => [labelsOf({ portal: name }), seenAt / 1000])),
    gauge('cloud_portal_clock_skew_seconds', 'How far a portal’s clock is ahead of the database’s.', portals.map(({ name, skewMs }) => [labelsOf({ portal: name }), seconds(skewMs)])),
  ];
}

const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

type Measured = readonly [labels: Readonly<Record<string, string>>, sample: HostSample | undefined];

/** What is measured of a machine: a host, all of them as one, or a portal's own. */
function machineFamilies(prefix: string, whose: string, machines: readonly Measured[]): Family[] {
  const figures = (value: (sample: HostSample) => number | null): Iterable<Sample> => each(machines, ([labels, sample]) => [labelsOf(labels), sample === undefined ? null : value(sample)]);
  const bytes = (key: 'memoryUsedMib' | 'memoryTotalMib' | 'memoryCachedMib' | 'swapUsedMib' | 'swapTotalMib'): Iterable<Sample> => figures((sample) => (sample[key] === null ? null : sample[key] * mib));
  const ratio = (percent: number | null): number | null => (percent === null ? null : percent / 100);
  const modes = machines.flatMap(([labels, sample]) => (sample === undefined ? [] : ([
    ['user', 'cpuUserPercent'], ['system', 'cpuSystemPercent'], ['iowait', 'cpuIowaitPercent'], ['steal', 'cpuStealPercent'],
  ] as const).map(([mode, key]) => ({ labels, mode, percent: sample[key] }))));
  return [
    gauge(`${prefix}_cpu_usage_ratio`, `CPU in use of ${whose}, 1 is all of it.`, figures((sample) => ratio(sample.cpuPercent))),
    gauge(`${prefix}_cpu_mode_ratio`, `What the CPU of ${whose} does, where that is known.`, each(modes, ({ labels, mode, percent }) => [labelsOf({ ...labels, mode }), ratio(percent)])),
    gauge(`${prefix}_memory_used_bytes`, `Memory in use of ${whose}, without buffers and cache.`, bytes('memoryUsedMib')),
    gauge(`${prefix}_memory_total_bytes`, `Memory of ${whose}.`, bytes('memoryTotalMib')),
    gauge(`${prefix}_memory_cached_bytes`, `Buffers and cache of ${whose}.`, bytes('memoryCachedMib')),
    gauge(`${prefix}_swap_used_bytes`, `Swap in use of ${whose}, where that is known.`, bytes('swapUsedMib')),
    gauge(`${prefix}_swap_total_bytes`, `Swap of ${whose}, where that is known.`, bytes('swapTotalMib')),
    gauge(`${prefix}_sample_timestamp_seconds`, `When ${whose} was last measured.`, figures((sample) => sample.at / 1000)),
  ];
}

function poolFamilies(pools: Awaited<ReturnType<typeof selectPools>>): Family[] {
  const labelled = pools.map((pool) => [labelsOf({ pool: pool.name, pool_id: pool.id, shared: pool.shared ? 'yes' : 'no' }), pool] as const);
  const measured = (value: (pool: (typeof pools)[number]) => number): Iterable<Sample> => each(labelled, ([labels, pool]) => [labels, pool.sampledAt === null ? null : value(pool)]);
  return [
    gauge('cloud_pool_capacity_bytes', 'Size of a storage pool.', measured((pool) => pool.capacityBytes)),
    gauge('cloud_pool_used_bytes', 'What is written in a storage pool.', measured((pool) => pool.capacityBytes - pool.availableBytes)),
    gauge('cloud_pool_reserved_bytes', 'Disks promised to machines in a storage pool.', labelled.map(([labels, pool]) => [labels, pool.usedGib * gib])),
    gauge('cloud_pool_sample_timestamp_seconds', 'When a storage pool was last measured.', labelled.map(([labels, pool]) => [labels, seconds(pool.sampledAt)])),
  ];
}

function workFamilies(work: Awaited<ReturnType<typeof selectWorkCounts>>, now: number): Family[] {
  const sum = (counts: readonly { readonly state: string; readonly total: number }[], state: string): number => counts.filter((each) => each.state === state).reduce((total, each) => total + each.total, 0);
  return [
    gauge('cloud_operations', 'Operations that have not ended, by kind and state.', work.open.map(({ kind, state, total }) => [labelsOf({ kind, state }), total])),
    gauge('cloud_operations_oldest_seconds', 'Age of the oldest operation that has not ended; 0: there is none.', [['', work.oldestOpenAt === null ? 0 : Math.max(0, now - work.oldestOpenAt) / 1000]]),
    gauge('cloud_operations_failed_last_day', 'Operations begun in the last 24 hours that failed, by kind.', work.failed.map(({ kind, total }) => [labelsOf({ kind }), total])),
    gauge('cloud_queue_length', 'What waits for its turn.', [
      [labelsOf({ queue: 'operations' }), sum(work.open, 'queued')], [labelsOf({ queue: 'moves' }), sum(work.moves, 'queued')], [labelsOf({ queue: 'notifications' }), sum(work.deliveries, 'queued')],
    ]),
    gauge('cloud_moves_in_progress', 'Moves of machines that are going on.', [['', sum(work.moves, 'moving')]]),
    gauge('cloud_incidents', 'Incidents that are open or acknowledged, by severity.', work.incidents.map(({ severity, total }) => [labelsOf({ severity }), total])),
    gauge('cloud_discrepancies', 'Differences between what hosts have and what the portal knows.', [['', work.discrepancies]]),
  ];
}
