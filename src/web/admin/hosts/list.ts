// All hosts: what each is, whether it answers, how much of it is promised and used, and whether it was burned in.
import { isComplete } from '../../../model/burn-in.ts';
import { hostStatus } from '../../../model/host.ts';
import { isStale } from '../../../model/metrics.ts';
import { selectLastBurnIns } from '../../../store/burn-ins.ts';
import { selectHostChecks } from '../../../store/host-checks.ts';
import { selectHostsPage } from '../../../store/hosts.ts';
import { countInstancesByHost } from '../../../store/instances.ts';
import { loadSparklines } from '../../charts/sparkline.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import { loadHostLoads } from '../../resources/state.ts';
import { pageOf } from '../../resources/page.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';

/** Rows of one page. */
const pageSize = 50;

export function listHosts(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { db, config } = deps;
    const now = deps.clock.now();
    const page = pageOf(req.query['page']);
    const search = (typeof req.query['search'] === 'string' ? req.query['search'] : '').trim().slice(0, 64);
    const { hosts, total } = await selectHostsPage(db, { page, pageSize, search });
    const ids = hosts.map((host) => host.id);
    const [loads, counts, burnIns, checks, sparklines] = await Promise.all([
      loadHostLoads(db, hosts, now), countInstancesByHost(db, ids), selectLastBurnIns(db, ids), selectHostChecks(db, ids),
      loadSparklines(db, 'host', hosts.map((host) => host.subjectId), now, config.pollIntervalMs),
    ]);
    const rows = loads.map(({ host, limit, sample }) => ({
      ...host, status: hostStatus(host), limit, sample, spark: sparklines.get(host.subjectId) ?? null,
      machines: counts.get(host.id) ?? { total: 0, running: 0 }, burnIn: burnIns.get(host.id) ?? null, warnings: checks.get(host.id)?.warnings.length ?? 0,
    }));
    await render(req, res, 'admin/hosts/list', {
      title: contextOf(req).t('hosts.title'), scripts: ['/js/live.js'], rows, total, page, pageSize, search, isComplete, pollIntervalMs: config.pollIntervalMs,
      base: `${paths.adminPage('hosts')}?${search === '' ? '' : `search=${encodeURIComponent(search)}&`}`,
      stale: (at: number | null) => at !== null && isStale(at, now, config.pollIntervalMs),
    });
  };
}
