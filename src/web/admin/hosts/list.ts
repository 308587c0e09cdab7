// All hosts: what each is, whether it answers, how much of it is promised and used, and whether it was burned in.
import { isComplete } from '../../../model/burn-in.ts';
import { hostLimit } from '../../../model/capacity.ts';
import { hostStatus } from '../../../model/host.ts';
import { isStale } from '../../../model/metrics.ts';
import { selectLastBurnIns } from '../../../store/burn-ins.ts';
import { selectHostChecks } from '../../../store/host-checks.ts';
import { selectHosts } from '../../../store/hosts.ts';
import { countInstancesByHost } from '../../../store/instances.ts';
import { selectLastHostSamples, selectLatestHostSamples } from '../../../store/samples.ts';
import { selectSettings } from '../../../store/settings.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';

export function listHosts(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { db, config } = deps;
    const now = deps.clock.now();
    const [hosts, { overcommit }, counts, burnIns, checks] = await Promise.all([selectHosts(db), selectSettings(db), countInstancesByHost(db), selectLastBurnIns(db), selectHostChecks(db)]);
    const subjectIds = hosts.map((host) => host.subjectId);
    const [latest, last] = await Promise.all([selectLatestHostSamples(db, subjectIds, now), selectLastHostSamples(db, subjectIds, now)]);
    const rows = hosts.map((host) => ({
      ...host, status: hostStatus(host), limit: hostLimit(host, overcommit), sample: latest.get(host.subjectId) ?? last.get(host.subjectId) ?? null,
      machines: counts.get(host.id) ?? { total: 0, running: 0 }, burnIn: burnIns.get(host.id) ?? null, warnings: checks.get(host.id)?.warnings.length ?? 0,
    }));
    await render(req, res, 'admin/hosts/list', {
      title: contextOf(req).t('hosts.title'), scripts: ['/js/live.js'], rows, isComplete, pollIntervalMs: config.pollIntervalMs,
      stale: (at: number | null) => at !== null && isStale(at, now, config.pollIntervalMs),
    });
  };
}
