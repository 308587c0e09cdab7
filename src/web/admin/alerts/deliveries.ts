// What was sent to whom, what failed and why; and a test mail to oneself.
import { z } from 'zod';
import { AppError, say } from '../../../errors.ts';
import { deliveryStates } from '../../../model/notification.ts';
import { sendTest, type NotifyDeps } from '../../../notify/deliver.ts';
import { selectDeliveriesPage, updateDeliveryAgain } from '../../../store/notifications.ts';
import { contextOf, currentUser, flash } from '../../context.ts';
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
    flash(req, failure === undefined ? 'success' : 'error', failure ?? say('alerts.test-sent', { name: user.email }));
    res.redirect(303, `${paths.adminPage('alerts')}/targets`);
  };
}
