// GET /events: server-sent events for one window (https://html.spec.whatwg.org/multipage/server-sent-events.html).
import type { Response } from 'express';
import { AppError, say } from '../../errors.ts';
import { contextOf, currentUser } from '../context.ts';
import type { Route } from '../routes.ts';
import { sessionRowId } from '../session/store.ts';
import type { EventsHub } from './hub.ts';
import { maxInstances, type Subscriber } from './subscriptions.ts';

const idPattern = /^[0-9a-f-]{36}$/;
/** What may wait in a window's socket; a reader that is slower is cut off and connects anew. */
const maxWaitingBytes = 1_000_000;
/** When the browser connects again after a cut. */
const retryMs = 3000;

export function showEvents(hub: EventsHub): Route['handler'] {
  return (req, res) => {
    // closed while its session was read: nothing would tell of it any more, and it would keep its place for ever
    if (res.closed || res.destroyed) return;
    const user = currentUser(req);
    const subscriber: Subscriber = {
      userId: user.id,
      role: user.role,
      sessionRowId: sessionRowId(req.sessionID),
      language: contextOf(req).language,
      instanceIds: idsIn(req.query['instances']),
      hostIds: idsIn(req.query['hosts']),
      cluster: req.query['cluster'] === '1',
      moves: req.query['moves'] === '1' && user.role === 'admin',
      send: sender(res),
      close: () => res.end(),
    };
    if (!hub.subscribe(subscriber)) throw new AppError('too-many', say('monitor.too-many-streams'), { retryAfterSeconds: 30 });
    res.once('close', () => hub.unsubscribe(subscriber));
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store, no-transform', 'X-Accel-Buffering': 'no' });
    res.write(`retry: ${retryMs}\n\n`);
  };
}

function idsIn(value: unknown): string[] {
  const ids = typeof value === 'string' ? value.split(',') : [];
  return [...new Set(ids.filter((id) => idPattern.test(id)))].slice(0, maxInstances);
}

function sender(res: Response): Subscriber['send'] {
  let id = 0;
  return (event, data) => {
    if (res.writableEnded || res.destroyed) return;
    if (res.writableLength > maxWaitingBytes) {
      res.destroy();
      return;
    }
    res.write(`id: ${++id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
}
