// The top page: what this is, the cluster at a glance, and for visitors the login window.
import { selectInstancesByUser } from '../../store/instances.ts';
import { contextOf } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { clusterGlance } from '../resources/glance.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';

export function showHome(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { user, t } = contextOf(req);
    const glance = await clusterGlance(deps.db);
    const instances = user === undefined ? [] : await selectInstancesByUser(deps.db, user.id, { page: 1, pageSize: 5 });
    await render(req, res, 'home/home', { title: t('home.title'), glance, instances });
  };
}
