// A redirect is no invitation to be too early: whoever follows it finds the session that it speaks of.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import express from 'express';
import { MemoryStore, type SessionData } from 'express-session';
import { readConfig } from '../../src/config.ts';
import { saveBeforeRedirect, sessionMiddleware } from '../../src/web/security.ts';

/** A database on a bad day. */
class SlowStore extends MemoryStore {
  saved = 0;
  override set(sid: string, data: SessionData, done?: (error?: unknown) => void): void {
    setTimeout(() => {
      this.saved++;
      super.set(sid, data, done);
    }, 100);
  }
}

describe('a redirect', () => {
  const store = new SlowStore();
  const app = express();
  app.use(sessionMiddleware(readConfig({ DATABASE_URL: 'mysql://nobody@127.0.0.1/none', SESSION_SECRET: 'x'.repeat(32) }), store));
  app.use(saveBeforeRedirect);
  app.post('/login', (req, res) => {
    req.session.userId = 'somebody';
    res.redirect(303, '/');
  });
  app.post('/elsewhere', (_req, res) => res.redirect(303, '/'));
  const server = app.listen(0, '127.0.0.1');
  let url = '';
  before(async () => {
    if (!server.listening) await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => { server.close(); });

  it('is sent when the session is stored', async () => {
    const response = await fetch(`${url}/login`, { method: 'POST', redirect: 'manual' });
    assert.deepEqual([response.status, response.headers.get('location'), store.saved], [303, '/', 1]);
    assert.match(response.headers.get('set-cookie') ?? '', /^session=/);
  });

  it('stores nothing for a visitor', async () => {
    const response = await fetch(`${url}/elsewhere`, { method: 'POST', redirect: 'manual' });
    assert.deepEqual([response.status, response.headers.get('set-cookie'), store.saved], [303, null, 1]);
  });
});
