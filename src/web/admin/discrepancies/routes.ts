// Where the database and a host disagree: domains nobody knows, instances whose domain is gone.
import { say } from '../../../errors.ts';
import { deleteDiscrepancy, selectDiscrepancies } from '../../../store/discrepancies.ts';
import { selectHosts } from '../../../store/hosts.ts';
import { selectInstancesByIds } from '../../../store/instances.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';

export function adminDiscrepancyRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/admin/discrepancies', access: 'admin', handler: listDiscrepancies(deps) },
    { method: 'post', path: '/admin/discrepancies/:id/dismiss', access: 'admin', audit: 'discrepancy.dismiss', handler: dismiss(deps) },
  ];
}

function listDiscrepancies(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const [rows, hosts] = await Promise.all([selectDiscrepancies(deps.db), selectHosts(deps.db)]);
    const instances = await selectInstancesByIds(deps.db, rows.flatMap((row) => (row.instanceId === null ? [] : [row.instanceId])));
    await render(req, res, 'admin/discrepancies/list', {
      title: contextOf(req).t('discrepancies.title'), rows,
      hostNames: new Map(hosts.map((host) => [host.id, host.name])), instanceNames: new Map(instances.map((instance) => [instance.id, instance.name])),
    });
  };
}

/** Forgets it; what is still so is found again at the next look. */
function dismiss(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const id = itemId(req);
    noteAudit(req, { target: id });
    await deleteDiscrepancy(deps.db, id);
    flash(req, 'info', say('discrepancies.dismissed'));
    res.redirect(303, paths.adminPage('discrepancies'));
  };
}
