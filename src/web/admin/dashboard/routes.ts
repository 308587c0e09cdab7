// The administrator's first page: what needs attention, the cluster in numbers, and the way to everything else.
import { clusterGlance } from '../../resources/glance.ts';
import { countOpenOperations } from '../../../store/operations.ts';
import { countUsersByState } from '../../../store/users.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { findAttention } from './attention.ts';

export function adminDashboardRoutes(deps: WebDeps): Route[] {
  return [{ method: 'get', path: paths.admin, access: 'admin', handler: showDashboard(deps) }];
}

function showDashboard(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const [attention, glance, openOperations, users] = await Promise.all([
      findAttention(deps), clusterGlance(deps.db, deps.clock.now()), countOpenOperations(deps.db), countUsersByState(deps.db),
    ]);
    await render(req, res, 'admin/dashboard/dashboard', { title: contextOf(req).t('admin.title'), attention, glance, openOperations, users });
  };
}
