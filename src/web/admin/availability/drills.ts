// Rehearsing the loss of a host: asking for it, and the report.
import { z } from 'zod';
import { AppError, say } from '../../../errors.ts';
import { drillModes } from '../../../model/drill.ts';
import { simulateDrill, submitHostDrill } from '../../../operations/host-drill.ts';
import { selectOptionalDrill } from '../../../store/drills.ts';
import { selectHost } from '../../../store/hosts.ts';
import { selectUserNames } from '../../../store/users.ts';
import { contextOf, currentUser } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { checkbox, choice, id, parseForm, text } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';
import { withRefusal } from './recover.ts';

/** As <input type=datetime-local> gives it; UTC, as the page says. */
const time = () => text({ max: 20, pattern: { test: /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?$/, sentence: say('availability.drill.bad-time') } });
const drillForm = z.object({ host: id(), mode: choice(drillModes), name: text({ max: 64 }), notBefore: time(), notAfter: time(), acceptUnfit: checkbox() });

const momentOf = (typed: string): number | null => (typed === '' ? null : Date.parse(`${typed}Z`));

export function startDrill(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    let drillId: string | undefined;
    await withRefusal(req, async () => {
      const form = parseForm(drillForm, req.body);
      if (!form.ok) throw new AppError('invalid', Object.values(form.fields)[0] ?? say('form.required'));
      const { host: hostId, mode, name, notBefore, notAfter, acceptUnfit } = form.value;
      const host = await selectHost(deps.db, hostId);
      noteAudit(req, { target: host.name, detail: mode });
      if (mode === 'simulation') drillId = await simulateDrill(deps.operations, host, currentUser(req));
      else {
        if (name !== host.name) throw new AppError('invalid', say('availability.name-differs', { host: host.name }));
        drillId = await submitHostDrill(deps.operations, host, { actor: currentUser(req), notBefore: momentOf(notBefore), notAfter: momentOf(notAfter), acceptUnfit });
      }
    });
    res.redirect(303, drillId === undefined ? `${paths.adminPage('availability')}#drills` : `${paths.adminPage('availability')}/drills/${drillId}`);
  };
}

export function showDrill(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const drill = await selectOptionalDrill(deps.db, itemId(req));
    if (drill === undefined) throw new AppError('not-found', say('errors.page-not-found'));
    const userNames = await selectUserNames(deps.db, drill.userId === null ? [] : [drill.userId]);
    await render(req, res, 'admin/availability/drill', {
      title: contextOf(req).t('availability.drill-of', { host: drill.hostName }), drill, userNames, refreshSeconds: drill.state === 'running' ? 5 : 0, scripts: ['/js/recovery.js'],
    });
  };
}
