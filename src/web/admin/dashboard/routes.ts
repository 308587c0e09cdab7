// The administrator's first page: what needs attention, the cluster in numbers, and the way to everything else.
import { loadNMinusOne } from '../../../operations/n-minus-1.ts';
import { clusterGlance } from '../../resources/glance.ts';
import { countIncidents, selectIncidentsPage } from '../../../store/incidents.ts';
import { countOpenOperations } from '../../../store/operations.ts';
import { countUsersByState } from '../../../store/users.ts';
import { readerOf } from '../../charts/page.ts';
import { loadTopLists } from '../../charts/top-lists.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { findAttention } from './attention.ts';

/** the newest open ones; the page of alerts has all */
const shownIncidents = 5;

export function adminDashboardRoutes(deps: WebDeps): Route[] {
  return [{ method: 'get', path: paths.admin, access: 'admin', handler: showDashboard(deps) }];
}

function showDashboard(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const now = deps.clock.now();
    const [attention, glance, openOperations, users, nMinusOne, top, incidents, incidentCounts] = await Promise.all([
      findAttention(deps), clusterGlance(deps.db), countOpenOperations(deps.db), countUsersByState(deps.db), loadNMinusOne(deps.db, now), loadTopLists(deps.db, 'admin', readerOf(req), now),
      selectIncidentsPage(deps.db, { states: ['open'] }, shownIncidents, 0), countIncidents(deps.db),
    ]);
    await render(req, res, 'admin/dashboard/dashboard', { title: contextOf(req).t('admin.title'), attention, glance, openOperations, users, nMinusOne, top, incidents: incidents.incidents, incidentCounts, pollIntervalMs: deps.config.pollIntervalMs });
  };
}
