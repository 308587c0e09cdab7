// Create VM, and the page of each instance with its actions and its console. /instances itself is the VM Monitor's.
import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { confirmAction, runAction } from './actions.ts';
import { createConsole, createConsoleTicket, followConsole, showConsole, showConsolePlace } from './console.ts';
import { changeOptions } from './options.ts';
import { showInstance, showMoveProgress } from './page.ts';
import { runSeveral } from './several.ts';
import { createInstance, reviewNewInstance, reviseNewInstance, showNewInstance, showVerdict } from './wizard.ts';

/** Before any other route with a parameter in that place: "new" is no id. */
export function instanceRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: paths.newInstance, access: 'user', handler: showNewInstance(deps) },
    { method: 'get', path: `${paths.newInstance}/verdict`, access: 'user', handler: showVerdict(deps) },
    // these two change nothing: they are POSTs because what is typed (keys, user data) does not belong into addresses
    { method: 'post', path: paths.newInstance, access: 'user', handler: reviseNewInstance(deps) },
    { method: 'post', path: paths.reviewInstance, access: 'user', handler: reviewNewInstance(deps) },
    { method: 'get', path: paths.reviewInstance, access: 'user', handler: (_req, res) => res.redirect(303, paths.newInstance) },
    { method: 'post', path: paths.instances, access: 'user', audit: 'instance.create', handler: createInstance(deps) },
    { method: 'post', path: paths.severalInstances, access: 'user', audit: 'instance.several', handler: runSeveral(deps) },
    { method: 'get', path: paths.severalInstances, access: 'user', handler: (_req, res) => res.redirect(303, paths.instances) },
    { method: 'get', path: '/instances/:id', access: 'user', handler: showInstance(deps) },
    { method: 'get', path: '/instances/:id/actions/:action', access: 'user', handler: confirmAction(deps) },
    { method: 'post', path: '/instances/:id/actions/:action', access: 'user', audit: 'instance.action', handler: runAction(deps) },
    { method: 'get', path: '/instances/:id/move', access: 'user', handler: showMoveProgress(deps) },
    { method: 'post', path: '/instances/:id/options', access: 'user', audit: 'instance.options', handler: changeOptions(deps) },
    { method: 'get', path: '/instances/:id/console.json', access: 'user', handler: showConsolePlace(deps) },
    { method: 'post', path: '/instances/:id/console.json', access: 'user', audit: 'instance.console', handler: followConsole(deps) },
    { method: 'get', path: '/instances/:id/console', access: 'user', handler: showConsole(deps) },
    { method: 'post', path: '/instances/:id/console', access: 'user', audit: 'instance.console', handler: createConsole(deps) },
    { method: 'post', path: '/instances/:id/console/ticket', access: 'user', audit: 'instance.console-browser', handler: createConsoleTicket(deps) },
  ];
}
