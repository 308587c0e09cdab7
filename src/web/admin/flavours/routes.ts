// Flavours, for admins.
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { changeFlavour, createFlavour, listFlavours, moveFlavour, removeFlavour, setFlavourEnabled, showFlavour } from './flavours.ts';

export function adminFlavourRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/admin/flavours', access: 'admin', handler: listFlavours(deps) },
    { method: 'post', path: '/admin/flavours', access: 'admin', audit: 'flavour.add', handler: createFlavour(deps) },
    { method: 'get', path: '/admin/flavours/:id', access: 'admin', handler: showFlavour(deps) },
    { method: 'post', path: '/admin/flavours/:id', access: 'admin', audit: 'flavour.change', handler: changeFlavour(deps) },
    { method: 'post', path: '/admin/flavours/:id/enable', access: 'admin', audit: 'flavour.enable', handler: setFlavourEnabled(deps, true) },
    { method: 'post', path: '/admin/flavours/:id/disable', access: 'admin', audit: 'flavour.disable', handler: setFlavourEnabled(deps, false) },
    { method: 'post', path: '/admin/flavours/:id/move', access: 'admin', audit: 'flavour.move', handler: moveFlavour(deps) },
    { method: 'post', path: '/admin/flavours/:id/delete', access: 'admin', audit: 'flavour.delete', handler: removeFlavour(deps) },
  ];
}
