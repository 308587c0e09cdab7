// Changing later what the wizard's options were: restart on another host, in which turn, apart from which machines.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import { changeAvailability } from '../../operations/instance-availability.ts';
import { loadInstance } from '../../store/instances.ts';
import { currentUser, flash } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formText, parseForm } from '../forms.ts';
import { noteAudit } from '../middleware/guard.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { optionsShape } from './options-form.ts';
import { renderInstance } from './page.ts';

const optionsForm = z.object(optionsShape);

export function changeOptions(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = currentUser(req);
    const instance = await loadInstance(deps.db, user, String(req.params['id']));
    const parsed = parseForm(optionsForm, req.body);
    noteAudit(req, { target: instance.id, detail: parsed.ok ? JSON.stringify(parsed.value) : '' });
    if (!parsed.ok) return renderInstance(deps, req, res, instance, { text: parsed.text, fields: parsed.fields });
    try {
      const { apart } = await changeAvailability(deps.operations, { instance, actor: user, wish: parsed.value });
      flash(req, 'success', apart ? say('common.saved') : say('instances.options.saved-not-apart'));
      res.redirect(303, paths.instance(instance.id));
    } catch (error) {
      if (!(error instanceof AppError) || error.kind !== 'invalid') throw error;
      await renderInstance(deps, req, res, instance, { text: formText(req.body), fields: error.fields });
    }
  };
}
