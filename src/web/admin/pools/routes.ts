// Storage pools: whose files they are, how full, how much of them is promised. What is shared counts once.
import { poolLimitGib } from '../../../model/capacity.ts';
import { isStale } from '../../../model/metrics.ts';
import { storageSpace } from '../../../model/resources.ts';
import { selectHostPools, selectHosts } from '../../../store/hosts.ts';
import { selectImages } from '../../../store/images.ts';
import { selectSettings } from '../../../store/settings.ts';
import { selectPools } from '../../../store/storage-pools.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';

function listPools(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { db, config } = deps;
    const now = deps.clock.now();
    const [pools, hosts, hostPools, images, { overcommit }] = await Promise.all([selectPools(db), selectHosts(db), selectHostPools(db), selectImages(db), selectSettings(db)]);
    const rows = pools.map((pool) => ({
      ...pool, limitGib: poolLimitGib(pool, overcommit), images: images.filter((image) => image.poolId === pool.id).length,
      hosts: hosts.filter((host) => hostPools.get(host.id)?.has(pool.id) === true),
    }));
    const groups = [true, false].map((shared) => ({ shared, rows: rows.filter((pool) => pool.shared === shared) })).filter((group) => group.rows.length > 0)
      .map((group) => ({ ...group, space: storageSpace(group.rows) }));
    await render(req, res, 'admin/pools/list', {
      title: contextOf(req).t('pools.title'), groups, overcommit: overcommit.disk, stale: (at: number | null) => at !== null && isStale(at, now, config.pollIntervalMs),
    });
  };
}

export function adminPoolRoutes(deps: WebDeps): Route[] {
  return [{ method: 'get', path: paths.adminPage('pools'), access: 'admin', handler: listPools(deps) }];
}
