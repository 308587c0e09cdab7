// One move in full, and the button that cancels it.
import { isEnded } from '../../../model/operation.ts';
import { AppError, say } from '../../../errors.ts';
import { requestCancel } from '../../../operations/cancel.ts';
import { selectOptionalInstance } from '../../../store/instances.ts';
import { selectMove } from '../../../store/moves.ts';
import { selectOperation, selectOptionalOperation } from '../../../store/operations.ts';
import { selectUserNames } from '../../../store/users.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formatFor } from '../../format.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';
import { refreshSeconds } from './list.ts';
import { moveWords, secondsWord } from './words.ts';

export function showMove(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { t, language } = contextOf(req);
    const move = await selectMove(deps.db, itemId(req));
    const [operation, batch, instance, names] = await Promise.all([
      selectOptionalOperation(deps.db, move.id), move.batchId === null ? undefined : selectOptionalOperation(deps.db, move.batchId),
      selectOptionalInstance(deps.db, move.instanceId), selectUserNames(deps.db, [move.userId, ...(move.actorId === null ? [] : [move.actorId])]),
    ]);
    const [now, fmt] = [deps.clock.now(), formatFor(language, t)];
    const open = move.endedAt === null;
    await render(req, res, 'admin/moves/move', {
      title: t('moves.page.one-title', { name: move.instanceName }), scripts: ['/js/live.js', '/js/moves.js'], refreshSeconds: open ? refreshSeconds : 0,
      move, words: moveWords(move, now, t, fmt), waited: move.startedAt === null ? null : secondsWord(move.startedAt - move.createdAt, t, fmt),
      operation: operation ?? null, cancellable: operation?.cancellable === true, cancelling: operation !== undefined && operation.cancelRequested && !isEnded(operation.state),
      batch: batch ?? null, instance: instance ?? null, owner: names.get(move.userId) ?? null, actor: move.actorId === null ? null : (names.get(move.actorId) ?? '–'),
      pollIntervalMs: deps.config.pollIntervalMs,
    });
  };
}

export function cancelMove(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const move = await selectMove(deps.db, itemId(req));
    noteAudit(req, { target: move.instanceName, detail: move.id });
    try {
      await requestCancel(deps.operations, await selectOperation(deps.db, move.id));
      flash(req, 'info', say('moves.page.cancelling'));
    } catch (error) {
      // too late: its page shows how it went
      if (!(error instanceof AppError) || error.kind !== 'conflict') throw error;
      flash(req, 'info', error.sentence);
    }
    res.redirect(303, paths.adminItem('moves', move.id));
  };
}
