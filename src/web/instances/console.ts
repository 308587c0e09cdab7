// The console's page: IP:port, a password made for this opening, and the screen in the browser. The password stands in this
// one answer, which nobody may keep, and nowhere else.
import type { Request } from 'express';
import { issueTicket, sessionRowId } from '../../console/tickets.ts';
import { AppError, say, type Sentence } from '../../errors.ts';
import { instanceCan, instanceRefuses, isChangingHosts, type Instance } from '../../model/instance.ts';
import type { User } from '../../model/user.ts';
import { openConsole, type OpenedConsole } from '../../operations/instance-console.ts';
import { selectOptionalHost } from '../../store/hosts.ts';
import { insertInstanceEvent } from '../../store/instance-events.ts';
import { loadInstance } from '../../store/instances.ts';
import { selectSettings } from '../../store/settings.ts';
import { contextOf, currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { noteAudit } from '../middleware/guard.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { hostPort } from './host-port.ts';

interface Attempt {
  readonly opened?: OpenedConsole;
  /** why it cannot be opened at this moment */
  readonly refusal?: Sentence;
  /** the host did not answer */
  readonly silent?: boolean;
}

/** What the page itself can say, being the way back and the way to try again. */
async function tryToOpen(deps: WebDeps, instance: Instance, user: User): Promise<Attempt> {
  try {
    return { opened: await openConsole(deps.operations, instance, user) };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.kind === 'conflict' && isChangingHosts(instance)) return { refusal: error.sentence };
    if (error.kind !== 'host-unavailable') throw error;
    // libvirt's words are for the log
    deps.log.warn({ err: error, instanceId: instance.id, hostId: instance.hostId }, 'the host did not open the console');
    return { silent: true };
  }
}

function consolePage(deps: WebDeps, open: boolean): Route['handler'] {
  return async (req, res) => {
    const { t } = contextOf(req);
    const user = currentUser(req);
    const instance = await loadInstance(deps.db, user, String(req.params['id']));
    const { console: settings } = await selectSettings(deps.db);
    if (open) noteAudit(req, { target: instance.id, detail: instance.name });
    const { opened, refusal = instanceRefuses('console', instance), silent = false }: Attempt = open ? await tryToOpen(deps, instance, user) : {};
    await render(req, res, 'instances/console', {
      title: t('console.title', { name: instance.name }),
      scripts: opened === undefined ? [] : ['/js/live.js', '/js/console.js'],
      instance, opened, silent,
      host: instance.hostId === null ? undefined : await selectOptionalHost(deps.db, instance.hostId),
      pollIntervalMs: deps.config.pollIntervalMs,
      refusal,
      hostPort: opened === undefined ? '' : hostPort(opened.address, opened.port),
      passwordSeconds: settings.passwordSeconds,
    }, silent ? 503 : open && refusal !== undefined ? 409 : 200);
  };
}

/** GET: the button that opens it. Looking at a page changes no password. */
export const showConsole = (deps: WebDeps): Route['handler'] => consolePage(deps, false);
/** POST: a new password. */
export const createConsole = (deps: WebDeps): Route['handler'] => consolePage(deps, true);

/** GET by the page's script, after its screen has closed: is it over, or has the machine gone to another host? */
export function showConsolePlace(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const instance = await loadInstance(deps.db, currentUser(req), String(req.params['id']));
    const host = instance.hostId === null ? undefined : await selectOptionalHost(deps.db, instance.hostId);
    const hasScreen = instanceCan('console', instance) && host !== undefined && instance.consolePort !== null;
    res.json({
      moving: isChangingHosts(instance),
      host: hasScreen ? host.name : null,
      address: hasScreen ? hostPort(host.consoleAddress, instance.consolePort) : null,
    });
  };
}

/** POST by the page's script, when the machine has moved: what a new opening of the page would show, and a ticket for the screen. */
export function followConsole(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = currentUser(req);
    const instance = await loadInstance(deps.db, user, String(req.params['id']));
    noteAudit(req, { target: instance.id, detail: instance.name });
    const { address, port, password, expiresAt } = await openConsole(deps.operations, instance, user);
    const host = instance.hostId === null ? undefined : await selectOptionalHost(deps.db, instance.hostId);
    const ticket = await ticketFor(deps, req, instance.id);
    res.json({ host: host?.name, address, port, hostPort: hostPort(address, port), password, expiresAt: new Date(expiresAt).toISOString(), leftMs: expiresAt - deps.clock.now(), ticket });
  };
}

/** POST by the page's script: a ticket for one WebSocket, bound to this session. */
export function createConsoleTicket(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = currentUser(req);
    const instance = await loadInstance(deps.db, user, String(req.params['id']));
    noteAudit(req, { target: instance.id, detail: instance.name });
    const refusal = instanceRefuses('console', instance);
    if (refusal !== undefined) throw new AppError('conflict', refusal);
    const ticket = await ticketFor(deps, req, instance.id);
    await insertInstanceEvent(deps.db, { instanceId: instance.id, at: deps.clock.now(), userId: user.id, sentence: say('console.diary.browser') });
    res.json({ ticket });
  };
}

function ticketFor({ db, clock }: WebDeps, req: Request, instanceId: string): Promise<string> {
  // an API token has no session that a screen could be bound to
  if (contextOf(req).bearer) throw new AppError('forbidden', say('errors.forbidden'));
  return issueTicket(db, clock.now(), { instanceId, userId: currentUser(req).id, sessionId: sessionRowId(req.sessionID) });
}
