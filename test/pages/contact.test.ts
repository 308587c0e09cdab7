// The contact form over HTTP, with a real SMTP server on the loopback: kept, mailed, answered, and never lost.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { createMailer } from '../../src/mail.ts';
import { limits } from '../../src/web/session/limits.ts';
import type { ContactMessage } from '../../src/model/contact-message.ts';
import { countContactMessages, selectContactMessages } from '../../src/store/contact-messages.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { assertHides, assertShows, assertStatus } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

interface Received { readonly to: readonly string[]; readonly raw: string }

/** Takes every mail, or says no as a mail server would. */
async function startSmtp(): Promise<{ port: number; received: Received[]; refuse: { with: string | undefined }; close: () => Promise<void> }> {
  const received: Received[] = [];
  const refuse: { with: string | undefined } = { with: undefined };
  const server = new SMTPServer({
    authOptional: true, disabledCommands: ['STARTTLS'], logger: false,
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
        if (refuse.with !== undefined) return done(Object.assign(new Error(refuse.with), { responseCode: 550 }));
        received.push({ to: session.envelope.rcptTo.map((each) => each.address), raw: Buffer.concat(chunks).toString('utf8') });
        return done();
      });
    },
  });
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  return { port: (server.server.address() as AddressInfo).port, received, refuse, close: () => new Promise((resolve) => { server.close(resolve); }) };
}

const header = (mail: Received, name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'mi').exec(mail.raw.slice(0, mail.raw.indexOf('\r\n\r\n')))?.[1];
const bodyOf = (mail: Received): string => {
  const body = mail.raw.slice(mail.raw.indexOf('\r\n\r\n') + 4);
  if (/content-transfer-encoding: base64/i.test(mail.raw)) return Buffer.from(body, 'base64').toString('utf8');
  const bytes = body.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
};
const typed = { name: 'Lin Mei', email: 'mei@example.org', subject: 'My machine is slow', body: 'Since noon.\nPlease help.' };

describe('the contact form', () => {
  let portal: TestPortal;
  let smtp: Awaited<ReturnType<typeof startSmtp>>;
  let admin: Client;
  before(async () => {
    smtp = await startSmtp();
    portal = await startTestPortal({ runner: false, env: { SMTP_URL: `smtp://127.0.0.1:${smtp.port}`, MAIL_FROM: 'cloud@example.org', CONTACT_ADDRESS: 'admins@example.org' } });
    await makeFirstAdmin(portal.deps.db, 'root');
    await makeUser(portal.deps.db, 'bob', { displayName: 'Bob', email: 'bob@example.org' });
    admin = await loggedIn(portal, 'root');
  });
  after(async () => {
    await portal.close();
    await smtp.close();
  });

  const newest = async (): Promise<ContactMessage> => (await selectContactMessages(portal.deps.db, { limit: 1, offset: 0 }))[0] ?? assert.fail('no message');
  /** the mail is sent after the answer */
  async function settled(mails: number): Promise<ContactMessage> {
    for (const end = Date.now() + 20_000; Date.now() < end; await delay(20)) {
      const message = await newest().catch(() => undefined);
      if (smtp.received.length >= mails && message !== undefined && (message.mailedAt !== null || message.mailError !== null)) return message;
    }
    return assert.fail(`the mail was not settled: ${smtp.received.length} received`);
  }

  it('keeps a visitor’s message and mails it to the admins, who can reply to the visitor', async () => {
    const visitor = portal.client();
    const page = await visitor.get('/contact');
    assertStatus(page, 200);
    const answer = await visitor.post('/contact', typed);
    assertStatus(answer, 303);
    assertShows((await visitor.get('/contact')).text, /We have your message/);
    const message = await settled(1);
    assert.deepEqual([message.name, message.email, message.subject, message.body, message.userId], [typed.name, typed.email, typed.subject, typed.body, null]);
    assert.ok(message.mailedAt !== null);
    const [mail] = smtp.received;
    assert.ok(mail);
    assert.deepEqual(mail.to, ['admins@example.org']);
    assert.equal(header(mail, 'Reply-To'), 'mei@example.org');
    assert.match(header(mail, 'Subject') ?? '', /My machine is slow/);
    assert.match(bodyOf(mail), /Since noon\.\r?\nPlease help\./);
    assert.ok(bodyOf(mail).includes(`/admin/messages/${message.id}`));
  });

  it('knows who is logged in, and carries Chinese', async () => {
    const bob = await loggedIn(portal, 'bob');
    assertShows((await bob.get('/contact')).text, /value="bob@example\.org"/);
    await bob.post('/contact', { ...typed, email: 'bob@example.org', subject: '無法開機', body: '虛擬機器無法開機，請協助。' });
    const message = await settled(2);
    assert.ok(message.userId !== null);
    assert.match(bodyOf(smtp.received[1] ?? assert.fail()), /虛擬機器無法開機，請協助。/);
  });

  it('what is wrong stands beside its field and the text is kept; nothing is stored', async () => {
    const visitor = portal.client();
    const { all } = await countContactMessages(portal.deps.db);
    const cases: [Partial<typeof typed>, string, RegExp][] = [
      [{ email: 'nowhere' }, 'email', /does not look like a mail address/],
      [{ body: '' }, 'body', /This is needed/],
      [{ body: 'x'.repeat(3001) }, 'body', /At most 3000/],
      [{ subject: 'hello\r\nBcc: victim@example.org' }, 'subject', /line breaks/],
      [{ name: 'Lin\nBcc: victim@example.org' }, 'name', /line breaks/],
      [{ email: 'a@example.org\r\nBcc: victim@example.org' }, 'email', /./],
      [{ email: 'a@example.org, victim@example.org' }, 'email', /mail address/],
    ];
    for (const [change, field, complaint] of cases) {
      const answer = await visitor.post('/contact', { ...typed, ...change });
      assertStatus(answer, 422);
      const at = answer.text.indexOf(`id="field-${field}-error"`);
      assert.ok(at > 0, field);
      assert.match(answer.text.slice(at, at + 300), complaint);
      if (!('body' in change)) assertShows(answer.text, /Since noon\.\nPlease help\./);
    }
    assert.equal((await countContactMessages(portal.deps.db)).all, all);
    assert.equal((await visitor.post('/contact', typed, { csrf: false })).status, 403);
  });

  it('is not lost when the mail server refuses, and can be mailed again', async () => {
    smtp.refuse.with = 'mailbox <full>';
    await (await loggedIn(portal, 'bob')).post('/contact', { ...typed, subject: 'While the mail is down' });
    let message = await newest();
    for (const end = Date.now() + 20_000; Date.now() < end && message.mailError === null; message = await newest()) await delay(20);
    assert.match(message.mailError ?? '', /mailbox <full>/);
    assertShows((await admin.get('/admin')).text, /could not be mailed: 1/);
    assertShows((await admin.get('/admin/messages')).text, /not mailed/);
    assertShows((await admin.get(`/admin/messages/${message.id}`)).text, /mailbox &lt;full&gt;/);
    assertStatus(await admin.post(`/admin/messages/${message.id}/mail`), 303);
    assert.equal((await newest()).mailedAt, null);
    smtp.refuse.with = undefined;
    const before = smtp.received.length;
    assertStatus(await admin.post(`/admin/messages/${message.id}/mail`), 303);
    assert.equal(smtp.received.length, before + 1);
    assert.ok((await newest()).mailedAt !== null);
    assertHides((await admin.get('/admin')).text, /could not be mailed/);
  });

  it('looking does not mark as read; a button does', async () => {
    const { unread } = await countContactMessages(portal.deps.db);
    const message = await newest();
    await admin.get(`/admin/messages/${message.id}`);
    assert.equal((await countContactMessages(portal.deps.db)).unread, unread);
    assertStatus(await admin.post(`/admin/messages/${message.id}/read`), 303);
    assert.equal((await countContactMessages(portal.deps.db)).unread, unread - 1);
  });

  it('is answered once, by mail, with the message quoted; a refused answer is kept and sent later', async () => {
    const message = await newest();
    const here = `/admin/messages/${message.id}`;
    const empty = await admin.post(`${here}/answer`, { answer: '  ' });
    assertStatus(empty, 422);
    smtp.refuse.with = 'greylisted';
    assertStatus(await admin.post(`${here}/answer`, { answer: 'Now it is fast.\n祝好' }), 303);
    assertShows((await admin.get(here)).text, /greylisted/);
    smtp.refuse.with = undefined;
    const sent = smtp.received.length;
    assertStatus(await admin.post(`${here}/mail`), 303);
    const mail = smtp.received[sent] ?? assert.fail('no mail');
    assert.deepEqual(mail.to, ['mei@example.org']);
    assert.equal(header(mail, 'Reply-To'), 'admins@example.org');
    assert.match(bodyOf(mail), /Now it is fast\.\r?\n祝好/);
    assert.match(bodyOf(mail), /> Since noon\./);
    assertStatus(await admin.post(`${here}/answer`, { answer: 'Twice?' }), 409);
    assertShows((await admin.get(here)).text, /Mailed to mei@example\.org/);
  });

  it('cannot be used to flood: the eleventh in an hour is refused with the time to wait', async () => {
    const visitor = portal.client();
    let refused: Awaited<ReturnType<Client['post']>> | undefined;
    for (let i = 0; i <= limits.contact.points && refused === undefined; i++) {
      const answer = await visitor.post('/contact', { ...typed, subject: `flood ${i}` });
      if (answer.status !== 303) refused = answer;
    }
    assert.equal(refused?.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
  });
});

describe('without a mail server', () => {
  it('messages and answers are kept, and admins are told', async () => {
    const portal = await startTestPortal({ runner: false, env: { CONTACT_ADDRESS: 'admins@example.org' } });
    try {
      await makeFirstAdmin(portal.deps.db, 'root');
      const admin = await loggedIn(portal, 'root');
      assertStatus(await portal.client().post('/contact', typed), 303);
      const [message] = await selectContactMessages(portal.deps.db, { limit: 1, offset: 0 });
      assert.ok(message);
      assertShows((await admin.get('/admin')).text, /no mail server \(SMTP_URL\)/);
      assertShows((await admin.get('/admin')).text, /Unread messages: 1/);
      assertStatus(await admin.post(`/admin/messages/${message.id}/answer`, { answer: 'kept' }), 303);
      assertShows((await admin.get(`/admin/messages/${message.id}`)).text, /kept/);
    } finally {
      await portal.close();
    }
  });
});

describe('the mailer', () => {
  it('refuses line breaks in what becomes a header, whoever asks', async () => {
    const smtp = await startSmtp();
    const mailer = createMailer(`smtp://127.0.0.1:${smtp.port}`, 'cloud@example.org');
    for (const change of [{ to: 'a@b.org\r\nBcc: c@d.org' }, { subject: 'x\nBcc: c@d.org' }, { replyTo: 'a@b.org\nX: y' }]) {
      await assert.rejects(mailer.send({ to: 'a@b.org', subject: 's', text: 't', ...change }), /line break/);
    }
    await mailer.send({ to: 'a@b.org', subject: '中文主旨', text: 't' });
    assert.deepEqual(smtp.received.map((mail) => mail.to), [['a@b.org']]);
    mailer.close();
    await assert.rejects(createMailer('smtp://127.0.0.1:1', 'cloud@example.org').send({ to: 'a@b.org', subject: 's', text: 't' }), /ECONNREFUSED/);
    await assert.rejects(createMailer(undefined, 'cloud@example.org').send({ to: 'a@b.org', subject: 's', text: 't' }), /SMTP_URL/);
    await smtp.close();
  });
});

describe('the page about the site', () => {
  it('tells everybody what this is, in both languages', async () => {
    const portal = await startTestPortal({ runner: false });
    try {
      assertShows((await portal.client().get('/about')).text, /self-service cloud[\s\S]*Cloud@HPC \d+\.\d+\.\d+/);
      assertShows((await portal.client().get('/about', { 'accept-language': 'zh-TW' })).text, /自助式雲端/);
    } finally {
      await portal.close();
    }
  });
});
