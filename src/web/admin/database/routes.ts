// How the database is, as a job measured it: on MySQL Cluster its nodes, memory and logs; anywhere its size and backups.
import { databaseWarnings, percentOf, type DatabaseHealth } from '../../../model/database-health.ts';
import { selectBackups } from '../../../store/backups.ts';
import { selectSnapshot } from '../../../store/snapshots.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';

const shownBackups = 10;
/** The job measures every minute; past three of them nobody does. */
const staleMs = 180_000;

export function adminDatabaseRoutes(deps: WebDeps): Route[] {
  return [{ method: 'get', path: '/admin/database', access: 'admin', handler: showDatabase(deps) }];
}

function showDatabase({ db, clock }: WebDeps): Route['handler'] {
  return async (req, res) => {
    const now = clock.now();
    const [snapshot, backups] = await Promise.all([selectSnapshot<DatabaseHealth>(db, 'database'), selectBackups(db, shownBackups)]);
    await render(req, res, 'admin/database/health', {
      title: contextOf(req).t('database.title'), health: snapshot?.value, measuredAt: snapshot?.at, backups, percentOf,
      isStale: snapshot !== undefined && now - snapshot.at > staleMs,
      warnings: snapshot === undefined ? [] : databaseWarnings(snapshot.value, backups, now),
    });
  };
}
