// What was sent to whom, what failed and why; and a test mail to oneself.
import { z } from 'zod';
import { AppError, say, type Sentence } from '../../../errors.ts';
import { deliveryStates, retryAfterMs } from '../../../model/notification.ts';
import { sendTest, type NotifyDeps } from '../../../notify/deliver.ts';
import type { Db } from '../../../store/db.ts';
import { selectDeliveriesPage, updateDeliveryAgain, type Delivery } from '../../../store/notifications.ts';
import { contextOf, currentUser, flash, type Flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';

const here = `${paths.adminPage('alerts')}/deliveries`;
const pageSize = 50;
const listQuery = z.object({ page: z.coerce.number().int().min(1).max(1_000_000).catch(1), state: z.enum(deliveryStates).optional().catch(undefined) });

export function listDeliveries(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { page, state } = listQuery.parse(req.query);
    const { deliveries, total } = await selectDeliveriesPage(deps.db, { state }, pageSize, (page - 1) * pageSize);
    await render(req, res, 'admin/alerts/deliveries', {
      title: contextOf(req).t('alerts.title'), deliveries, states: deliveryStates, state: state ?? '', page, pageSize, total, base: `${here}?${state === undefined ? '' : `state=${state}&`}`,
    });
  };
}

export function deliverAgain(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    if (!(await updateDeliveryAgain(deps.db, itemId(req), deps.clock.now()))) throw new AppError('conflict', say('alerts.delivery.not-again'));
    flash(req, 'success', say('alerts.delivery.again-soon'));
    res.redirect(303, here);
  };
}

export function testMail(notify: NotifyDeps): Route['handler'] {
  return async (req, res) => {
    const user = currentUser(req);
    noteAudit(req, { target: user.email });
    const failure = await sendTest(notify, { kind: 'mail', id: user.id });
    flash(req, ...testAnswer(user.email, failure && contextOf(req).say(failure)));
    res.redirect(303, `${paths.adminPage('alerts')}/targets`);
  };
}

/** `failure`: why it was not taken, in the reader's words: a sentence cannot hold another one with parameters of its own. */
export function testAnswer(name: string, failure: string | undefined): [Flash['kind'], Sentence] {
  return failure === undefined ? ['success', say('alerts.test-sent', { name })] : ['error', say('alerts.test-failed', { name, reason: failure })];
}

export interface Outcome { readonly at: number; readonly name: string; /** null: it was delivered */ readonly error: Sentence | null }
/** The newest of them: who got nothing in so many has no last delivery worth showing. */
const looked = 500;

/** What came of the last attempt at each receiver, by its id; all mails together as 'mail'. */
export async function lastOutcomes(db: Db): Promise<Map<string, Outcome>> {
  const last = new Map<string, Outcome>();
  for (const delivery of (await selectDeliveriesPage(db, {}, looked, 0)).deliveries) {
    const at = triedAt(delivery);
    const key = delivery.target.kind === 'mail' ? 'mail' : delivery.target.id;
    if (at !== undefined && at > (last.get(key)?.at ?? 0)) last.set(key, { at, name: delivery.targetName, error: delivery.error });
  }
  return last;
}

/** One that waits after a failure was tried that long before its next turn. undefined: nothing has come of it yet. */
function triedAt({ endedAt, error, attempts, runAfter }: Delivery): number | undefined {
  const pauseMs = retryAfterMs(attempts);
  return endedAt ?? (error === null || pauseMs === undefined ? undefined : runAfter - pauseMs);
}
