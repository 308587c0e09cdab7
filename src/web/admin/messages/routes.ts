// Messages of the contact form, for admins.
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { answerMessage, listMessages, mailAgain, markRead, showMessage } from './messages.ts';

export function adminMessageRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/admin/messages', access: 'admin', handler: listMessages(deps) },
    { method: 'get', path: '/admin/messages/:id', access: 'admin', handler: showMessage(deps) },
    { method: 'post', path: '/admin/messages/:id/read', access: 'admin', audit: 'message.read', handler: markRead(deps) },
    { method: 'post', path: '/admin/messages/:id/answer', access: 'admin', audit: 'message.answer', handler: answerMessage(deps) },
    { method: 'post', path: '/admin/messages/:id/mail', access: 'admin', audit: 'message.mail', handler: mailAgain(deps) },
  ];
}
