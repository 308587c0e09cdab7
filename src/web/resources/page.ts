// Resource Monitor: what remains and what it costs, storage, the cluster's and each host's load, and the machines with their disks.
import type { Request } from 'express';
import { isStale } from '../../model/metrics.ts';
import { selectHostsPage } from '../../store/hosts.ts';
import { selectInstancesByUser, selectInstancesPage, countInstancesByUser } from '../../store/instances.ts';
import { selectHostCpuByMinute } from '../../store/samples.ts';
import { selectUserNames } from '../../store/users.ts';
import { loadClusterSummary } from '../charts/cluster.ts';
import { minuteChart } from '../charts/minutes.ts';
import { readerOf } from '../charts/page.ts';
import { loadTopLists } from '../charts/top-lists.ts';
import { currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { stateWord } from '../monitor/rows.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { clusterWords, hostLine, loadClusterState, loadHostLoads, type HostLoad } from './state.ts';

const chartMs = 1_800_000;
const pageSize = 50;
/** A chart each: more would make a page that no phone likes. */
const hostsPageSize = 12;

export function showResources(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const reader = readerOf(req);
    const { t, fmt } = reader;
    const user = currentUser(req);
    const all = user.role === 'admin';
    const now = deps.clock.now();
    const [page, hostsPage] = [pageOf(req.query['page']), pageOf(req.query['hosts'])];
    const [state, machines, fleet, summary, top] = await Promise.all([
      loadClusterState(deps.db), loadMachines(deps, all ? undefined : user.id, page), loadHosts(deps, hostsPage, now), loadClusterSummary(deps, req), loadTopLists(deps.db, user.role, reader, now),
    ]);
    const owners = all ? await selectUserNames(deps.db, [...new Set(machines.instances.map((instance) => instance.userId))]) : new Map<string, string>();
    const lines = clusterWords(state, t, fmt);
    await render(req, res, 'resources/page', {
      title: t('resources.title'), scripts: ['/js/live.js', '/js/charts.js'],
      ...state, summary, top, now, all, page, pageSize,
      hosts: fleet.loads.map((load) => ({ ...load, words: hostLine(load, t, fmt), chart: minuteChart(load.host, fleet.points.get(load.host.subjectId) ?? [], { from: now - chartMs, to: now }, reader) })),
      minutes: minutesOf(fleet.points), points: fleet.points, hostsTotal: fleet.total, hostsPage, hostsPageSize,
      stale: (at: number | null) => at !== null && isStale(at, now, deps.config.pollIntervalMs),
      line: (key: string) => lines.find((one) => one.key === key),
      total: machines.total,
      machines: machines.instances.map((instance) => ({ instance, state: stateWord(instance, t), owner: owners.get(instance.userId) ?? null })),
      pollIntervalMs: deps.config.pollIntervalMs,
    });
  };
}

export function pageOf(asked: Request['query'][string]): number {
  const page = typeof asked === 'string' ? Number(asked) : 1;
  return Number.isInteger(page) && page >= 1 && page <= 100_000 ? page : 1;
}

async function loadMachines({ db }: WebDeps, userId: string | undefined, page: number): ReturnType<typeof selectInstancesPage> {
  if (userId === undefined) return selectInstancesPage(db, { page, pageSize });
  const [instances, total] = await Promise.all([selectInstancesByUser(db, userId, { page, pageSize }), countInstancesByUser(db, userId)]);
  return { instances, total };
}

type Minutes = Awaited<ReturnType<typeof selectHostCpuByMinute>>;

/** A page of hosts with their load, and the CPU load of each by the minute. */
async function loadHosts({ db }: WebDeps, page: number, now: number): Promise<{ loads: HostLoad[]; points: Minutes; total: number }> {
  const { hosts, total } = await selectHostsPage(db, { page, pageSize: hostsPageSize });
  const [loads, points] = await Promise.all([loadHostLoads(db, hosts, now), selectHostCpuByMinute(db, hosts.map((host) => host.subjectId), now - chartMs, now)]);
  return { loads, points, total };
}

/** The rows of the table, newest first. */
function minutesOf(points: Minutes): number[] {
  return [...new Set([...points.values()].flatMap((list) => list.map((point) => point.at)))].sort((a, b) => b - a);
}
