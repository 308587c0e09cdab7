// The console's page: IP:port, a password made for this opening, and the screen in the browser. The password stands in this
// one answer, which nobody may keep, and nowhere else.
import { issueTicket, sessionRowId } from '../../console/tickets.ts';
import { AppError, say } from '../../errors.ts';
import { instanceRefuses } from '../../model/instance.ts';
import { openConsole, type OpenedConsole } from '../../operations/instance-console.ts';
import { insertInstanceEvent } from '../../store/instance-events.ts';
import { loadInstance } from '../../store/instances.ts';
import { selectSettings } from '../../store/settings.ts';
import { contextOf, currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { noteAudit } from '../middleware/guard.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { hostPort } from './host-port.ts';

function consolePage(deps: WebDeps, open: boolean): Route['handler'] {
  return async (req, res) => {
    const { t } = contextOf(req);
    const user = currentUser(req);
    const instance = await loadInstance(deps.db, user, String(req.params['id']));
    const { console: settings } = await selectSettings(deps.db);
    let opened: OpenedConsole | undefined;
    let silent = false;
    if (open) {
      noteAudit(req, { target: instance.id, detail: instance.name });
      try {
        opened = await openConsole(deps.operations, instance, user);
      } catch (error) {
        if (!(error instanceof AppError) || error.kind !== 'host-unavailable') throw error;
        // the page itself is the way back, and the way to try again; libvirt's words are for the log
        deps.log.warn({ err: error, instanceId: instance.id, hostId: instance.hostId }, 'the host did not open the console');
        silent = true;
      }
    }
    await render(req, res, 'instances/console', {
      title: t('console.title', { name: instance.name }),
      scripts: opened === undefined ? [] : ['/js/console.js'],
      instance, opened, silent,
      refusal: instanceRefuses('console', instance),
      hostPort: opened === undefined ? '' : hostPort(opened.address, opened.port),
      passwordSeconds: settings.passwordSeconds,
    }, silent ? 503 : 200);
  };
}

/** GET: the button that opens it. Looking at a page changes no password. */
export const showConsole = (deps: WebDeps): Route['handler'] => consolePage(deps, false);
/** POST: a new password. */
export const createConsole = (deps: WebDeps): Route['handler'] => consolePage(deps, true);

/** POST by the page's script: a ticket for one WebSocket, bound to this session. */
export function createConsoleTicket(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = currentUser(req);
    // an API token has no session that a screen could be bound to
    if (contextOf(req).bearer) throw new AppError('forbidden', say('errors.forbidden'));
    const instance = await loadInstance(deps.db, user, String(req.params['id']));
    noteAudit(req, { target: instance.id, detail: instance.name });
    const refusal = instanceRefuses('console', instance);
    if (refusal !== undefined) throw new AppError('conflict', refusal);
    const now = deps.clock.now();
    const ticket = await issueTicket(deps.db, now, { instanceId: instance.id, userId: user.id, sessionId: sessionRowId(req.sessionID) });
    await insertInstanceEvent(deps.db, { instanceId: instance.id, at: now, userId: user.id, sentence: say('console.diary.browser') });
    res.json({ ticket });
  };
}
