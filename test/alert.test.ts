// Alerts as mail, with a real SMTP server on the loopback: to every active admin, each in their language, and never in the way.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { SMTPServer } from 'smtp-server';
import { createAlert } from '../src/alert.ts';
import { systemClock } from '../src/clock.ts';
import { say } from '../src/errors.ts';
import { createLog } from '../src/log.ts';
import { createMailer } from '../src/mail.ts';
import { createWebhookSecrets } from '../src/notify/webhook.ts';
import { makeFirstAdmin, makeUser } from './helpers/accounts.ts';
import { createTestDatabase, type TestDatabase } from './helpers/database.ts';

const received: { to: string; text: string }[] = [];
let database: TestDatabase;
let server: SMTPServer;

before(async () => {
  database = await createTestDatabase();
  server = new SMTPServer({
    authOptional: true, disabledCommands: ['STARTTLS'],
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        received.push({ to: session.envelope.rcptTo.map(({ address }) => address).join(), text: Buffer.concat(chunks).toString('utf8') });
        done();
      });
    },
  });
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  await makeFirstAdmin(database.db, 'root');
  await makeUser(database.db, 'zhang', { role: 'admin', language: 'zh-TW' });
  await makeUser(database.db, 'gone', { role: 'admin', state: 'disabled' });
  await makeUser(database.db, 'user');
});
after(async () => {
  await new Promise<void>((resolve) => { server.close(() => resolve()); });
  await database.close();
});

function alertBy(smtpUrl: string | undefined): { alert: ReturnType<typeof createAlert>; close: () => void } {
  const mailer = createMailer(smtpUrl, 'cloud@example.org');
  return { alert: createAlert({ db: database.db, clock: systemClock, mailer, log: createLog('silent'), publicUrl: 'https://cloud.example.org', webhookSecrets: createWebhookSecrets('only for tests') }), close: () => mailer.close() };
}
/** The body: quoted-printable, or base64. */
function words(mail: string): string {
  const body = mail.slice(mail.indexOf('\r\n\r\n') + 4);
  if (/content-transfer-encoding: base64/i.test(mail)) return Buffer.from(body, 'base64').toString('utf8');
  const bytes = body.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

describe('an alert', () => {
  it('is mailed to every active admin in their language, with the page’s address', async () => {
    const { alert, close } = alertBy(`smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`);
    alert(say('recovery.alert.unfit', { host: 'kvm1', total: 3 }));
    for (const end = Date.now() + 30_000; received.length < 2 && Date.now() < end; await delay(20));
    close();
    assert.deepEqual(received.map(({ to }) => to).sort(), ['root@example.org', 'zhang@example.org']);
    const english = received.find(({ to }) => to.startsWith('root'))?.text ?? '';
    assert.match(words(english), /3 machines of lost host kvm1/);
    assert.match(words(english), /https:\/\/cloud\.example\.org\/admin\/availability/);
    assert.match(words(received.find(({ to }) => to.startsWith('zhang'))?.text ?? ''), /失聯主機/);
  });

  it('neither throws nor waits without a mail server, or with one that is away', () => {
    for (const url of [undefined, 'smtp://127.0.0.1:1']) {
      const { alert, close } = alertBy(url);
      const began = performance.now();
      alert(say('recovery.alert.unfit', { host: 'kvm1', total: 3 }));
      assert.ok(performance.now() - began < 1000);
      close();
    }
  });
});
