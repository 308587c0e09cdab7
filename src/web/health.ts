// GET /healthz: may a proxy send people here? Asked by every proxy every few seconds, so it is the cheapest question that
// tells: this process answers, is not stopping, and reaches the database.
import { setTimeout as delay } from 'node:timers/promises';
import type { RequestHandler } from 'express';
import type { WebDeps } from './deps.ts';

/** A database that takes longer is none for who waits for a page. */
const patienceMs = 2000;

export function showHealth({ db, isStopping }: Pick<WebDeps, 'db' | 'isStopping'>): RequestHandler {
  return async (_req, res) => {
    const isReady = isStopping?.() !== true && (await Promise.race([db.query('SELECT 1').then(() => true, () => false), delay(patienceMs, false, { ref: false })]));
    res.status(isReady ? 200 : 503).set('Cache-Control', 'no-store').type('text').send(isReady ? 'ok\n' : 'not ready\n');
  };
}
