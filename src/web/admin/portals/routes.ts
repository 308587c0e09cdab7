// The portals on this database: which are up, of which version, how wrong their clocks are, and what each is at.
import { AppError, say } from '../../../errors.ts';
import type { Operation } from '../../../model/operation.ts';
import { selectJobs, type JobRow } from '../../../store/jobs.ts';
import { selectHeldOperations } from '../../../store/operations.ts';
import { deletePortal, selectPortals, type Portal } from '../../../store/portals.ts';
import { selectServerTime } from '../../../store/server.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { catalogue } from '../../locales/index.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';

/** A portal tells every three seconds that it lives; one that missed five of them is gone, and its work is being taken over. */
const goneAfterMs = 15_000;
/** Leases bear five seconds between two portals; past this an admin should look. */
const skewWarningMs = 2000;
const mostOperations = 200;

export function adminPortalRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/admin/portals', access: 'admin', handler: listPortals(deps) },
    { method: 'post', path: '/admin/portals/:id/forget', access: 'admin', audit: 'portal.forget', handler: forgetPortal(deps) },
  ];
}

interface PortalLine extends Portal {
  readonly state: 'up' | 'stopped' | 'gone';
  readonly isSkewed: boolean;
  readonly jobs: readonly JobRow[];
  readonly operations: readonly Operation[];
}

function listPortals({ db, config }: WebDeps): Route['handler'] {
  return async (req, res) => {
    const [portals, jobs, held, databaseTime] = await Promise.all([selectPortals(db), selectJobs(db), selectHeldOperations(db, mostOperations), selectServerTime(db)]);
    const lines = portals.map((portal): PortalLine => ({
      ...portal,
      state: portal.stoppedAt !== null ? 'stopped' : databaseTime - portal.seenAt > goneAfterMs ? 'gone' : 'up',
      isSkewed: Math.abs(portal.skewMs ?? 0) > skewWarningMs,
      jobs: jobs.filter(({ leaseOwner }) => leaseOwner === portal.leaseOwner),
      operations: held.filter(({ ownerId }) => ownerId === portal.leaseOwner).map(({ operation }) => operation),
    }));
    await render(req, res, 'admin/portals/list', {
      title: contextOf(req).t('portals.title'), portals: lines, jobs, databaseTime, here: config.portalName,
      // a portal of another release may have others
      isKnownJob: (name: string) => `portals.job-about.${name}` in catalogue,
      ownerNames: new Map(portals.map(({ leaseOwner, name }) => [leaseOwner, name])),
      versionsDiffer: new Set(lines.filter(({ state }) => state === 'up').map(({ version }) => version)).size > 1,
    });
  };
}

/** Only its line: one that lives writes it again. */
function forgetPortal({ db }: WebDeps): Route['handler'] {
  return async (req, res) => {
    const id = itemId(req);
    const portal = (await selectPortals(db)).find((each) => each.id === id);
    if (portal === undefined) throw new AppError('not-found', say('errors.not-found'));
    noteAudit(req, { target: portal.name });
    if (await deletePortal(db, id, goneAfterMs)) flash(req, 'info', say('portals.forgotten', { name: portal.name }));
    else flash(req, 'error', say('portals.still-alive', { name: portal.name }));
    res.redirect(303, paths.adminPage('portals'));
  };
}
