// Resource Monitor: what remains and what it costs, storage, each host's CPU load, and the machines with their disks.
import { isStale } from '../../model/metrics.ts';
import { selectInstancesByUser, selectInstancesPage, countInstancesByUser } from '../../store/instances.ts';
import { selectHostCpuByMinute } from '../../store/samples.ts';
import { selectUserNames } from '../../store/users.ts';
import { contextOf, currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formatFor } from '../format.ts';
import { stateWord } from '../monitor/rows.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { clusterWords, loadClusterState, type ClusterState } from './state.ts';

const chartMs = 1_800_000;
const pageSize = 50;

export function showResources(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { t, language } = contextOf(req);
    const user = currentUser(req);
    const all = user.role === 'admin';
    const now = deps.clock.now();
    const asked = Number(req.query['page']);
    const page = Number.isInteger(asked) && asked >= 1 && asked <= 100_000 ? asked : 1;
    const [state, machines] = await Promise.all([loadClusterState(deps.db, now), loadMachines(deps, all ? undefined : user.id, page)]);
    const [load, owners] = await Promise.all([
      loadMinutes(deps, state, now),
      all ? selectUserNames(deps.db, [...new Set(machines.instances.map((instance) => instance.userId))]) : new Map<string, string>(),
    ]);
    const lines = clusterWords(state, t, formatFor(language, t));
    const stale = (at: number | null): boolean => at !== null && isStale(at, now, deps.config.pollIntervalMs);
    await render(req, res, 'resources/page', {
      title: t('resources.title'),
      scripts: ['/js/live.js', '/js/charts.js'],
      ...state, ...load, now, all, page, pageSize, stale,
      line: (key: string) => lines.find((one) => one.key === key),
      total: machines.total,
      machines: machines.instances.map((instance) => ({ instance, state: stateWord(instance, t), owner: owners.get(instance.userId) ?? null })),
      pollIntervalMs: deps.config.pollIntervalMs,
    });
  };
}

async function loadMachines({ db }: WebDeps, userId: string | undefined, page: number): ReturnType<typeof selectInstancesPage> {
  if (userId === undefined) return selectInstancesPage(db, { page, pageSize });
  const [instances, total] = await Promise.all([selectInstancesByUser(db, userId, { page, pageSize }), countInstancesByUser(db, userId)]);
  return { instances, total };
}

/** Each host's CPU load by the minute, and the minutes that the table has, newest first. */
async function loadMinutes({ db }: WebDeps, { hosts }: ClusterState, now: number): Promise<{ minutes: number[]; points: Map<string, Map<number, number>> }> {
  const bySubject = await selectHostCpuByMinute(db, hosts.map(({ host }) => host.subjectId), now - chartMs, now);
  const points = new Map(hosts.map(({ host }) => [host.id, new Map((bySubject.get(host.subjectId) ?? []).map((point) => [point.at, point.cpuPercent]))]));
  const minutes = [...new Set([...bySubject.values()].flatMap((list) => list.map((point) => point.at)))].sort((a, b) => b - a);
  return { minutes, points };
}
