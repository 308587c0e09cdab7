// Moves of instances, for admins.
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { exportMoves, listMoves } from './list.ts';
import { cancelMove, showMove } from './move.ts';
import { checkMoves, showNewMoves, startMoves } from './new.ts';

export function adminMoveRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/admin/moves', access: 'admin', handler: listMoves(deps) },
    { method: 'get', path: '/admin/moves.csv', access: 'admin', handler: exportMoves(deps) },
    { method: 'get', path: '/admin/moves/new', access: 'admin', handler: showNewMoves(deps) },
    { method: 'post', path: '/admin/moves/new', access: 'admin', audit: 'move.check', handler: checkMoves(deps) },
    { method: 'post', path: '/admin/moves', access: 'admin', audit: 'move.start', handler: startMoves(deps) },
    { method: 'get', path: '/admin/moves/:id', access: 'admin', handler: showMove(deps) },
    { method: 'post', path: '/admin/moves/:id/cancel', access: 'admin', audit: 'move.cancel', handler: cancelMove(deps) },
  ];
}
