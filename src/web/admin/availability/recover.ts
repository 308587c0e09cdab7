// What an admin decides about a lost host, and the page of one recovery.
import { AppError, say } from '../../../errors.ts';
import { confirmPoweredOff, submitHostRecover } from '../../../operations/host-recover.ts';
import { selectHost } from '../../../store/hosts.ts';
import { selectMovesByBatch } from '../../../store/moves.ts';
import { selectOptionalRecovery } from '../../../store/recoveries.ts';
import { selectUserNames } from '../../../store/users.ts';
import { contextOf, currentUser, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formText } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';

const here = paths.adminPage('availability');

/** A refusal in words on the page instead of an error page: the situation may have changed since it was opened. */
export async function withRefusal(req: Parameters<Route['handler']>[0], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof AppError) || error.kind === 'not-found') throw error;
    noteAudit(req, { detail: error.sentence.key });
    flash(req, 'error', error.sentence);
  }
}

/** The name of the host is typed: whoever confirms the wrong one has two copies of its instances. */
export function confirmOff(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    noteAudit(req, { target: host.name });
    await withRefusal(req, async () => {
      if ((formText(req.body)['name'] ?? '').trim() !== host.name) throw new AppError('invalid', say('availability.name-differs', { host: host.name }));
      await confirmPoweredOff(deps.operations, host, currentUser(req));
      flash(req, 'success', say('availability.confirmed', { host: host.name }));
    });
    res.redirect(303, here);
  };
}

/** Also when most hosts are lost at once, or while recovering by itself is switched off. Without proof it waits as ever. */
export function beginRecovery(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    noteAudit(req, { target: host.name });
    await withRefusal(req, async () => {
      if (host.state !== 'unreachable') throw new AppError('conflict', say('recovery.refused.not-lost', { host: host.name }));
      await submitHostRecover(deps.operations, host, { actor: currentUser(req), forced: true });
      flash(req, 'success', say('availability.begun', { host: host.name }));
    });
    res.redirect(303, here);
  };
}

export function showRecovery(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const recovery = await selectOptionalRecovery(deps.db, itemId(req));
    if (recovery === undefined) throw new AppError('not-found', say('errors.page-not-found'));
    const [moves, userNames] = await Promise.all([
      selectMovesByBatch(deps.db, recovery.id), selectUserNames(deps.db, [recovery.userId, recovery.confirmedBy].filter((id) => id !== null)),
    ]);
    await render(req, res, 'admin/availability/recovery', {
      title: contextOf(req).t('availability.recovery-of', { host: recovery.hostName }), recovery, moves, userNames,
      refreshSeconds: recovery.endedAt === null ? 5 : 0, scripts: ['/js/recovery.js'],
    });
  };
}
