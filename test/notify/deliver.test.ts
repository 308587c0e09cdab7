// The outbox with a real database, a real SMTP server and a real receiver of webhooks: signed, in each reader's language, again
// after failures, at least once and always under the same id.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { say } from '../../src/errors.ts';
import { createLog } from '../../src/log.ts';
import { createMailer, type Mailer } from '../../src/mail.ts';
import { defaultRules, type AlertRule } from '../../src/model/alert-rule.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { languages } from '../../src/model/user.ts';
import { deliverDue, sendTest, type NotifyDeps } from '../../src/notify/deliver.ts';
import { createWebhookSecrets, networkReason, newWebhookSecret, postWebhook } from '../../src/notify/webhook.ts';
import { evaluateAlerts } from '../../src/operations/incidents.ts';
import { sendDigest } from '../../src/jobs/send-digest.ts';
import { insertAlertRule } from '../../src/store/alert-rules.ts';
import { insertIncidents } from '../../src/store/incidents.ts';
import { selectDeliveriesPage } from '../../src/store/notifications.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { insertWebhookTarget } from '../../src/store/webhook-targets.ts';
import { translator } from '../../src/web/locales/index.ts';
import { makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { fillCloud, type FilledCloud } from '../helpers/filled-cloud.ts';
import { startSmtp, type TestSmtp } from '../helpers/smtp.ts';
import { signatureHolds, startReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts';

const secrets = createWebhookSecrets('only for tests: 0123456789abcdef');
const secret = newWebhookSecret();
const targetId = randomUUID();
const rule = defaultRules[0] as AlertRule;
let database: TestDatabase;
let cloud: FilledCloud;
let smtp: TestSmtp;
let receiver: WebhookReceiver;
let mailer: Mailer;
let deps: NotifyDeps;
let now = Date.UTC(2027, 0, 1, 3, 0);

before(async () => {
  [database, smtp, receiver] = await Promise.all([createTestDatabase(), startSmtp(), startReceiver()]);
  mailer = createMailer(smtp.url, 'Cloud <cloud@example.org>');
  deps = { db: database.db, clock: { now: () => now }, log: createLog('silent'), mailer, publicUrl: 'https://cloud.example.org', webhookSecrets: secrets };
  await makeFirstAdmin(database.db, 'root');
  await makeUser(database.db, 'zhang', { role: 'admin', language: 'zh-TW' });
  cloud = await fillCloud(database.db, { hosts: 13, instances: 0, at: now });
  await insertWebhookTarget(database.db, { id: targetId, name: 'chat', url: receiver.url, enabled: true, minSeverity: 'info', resolved: true, updatedAt: 0 }, secrets.seal(targetId, { secret }), now);
  await insertAlertRule(database.db, { ...rule, holdSeconds: 0 }, now);
});
after(async () => {
  mailer.close();
  await Promise.all([smtp.close(), receiver.close(), database.close()]);
});
beforeEach(async () => {
  const { db } = database;
  for (const table of ['alert_states', 'incidents', 'incident_events', 'notifications', 'deliveries']) await db.execute(`DELETE FROM ${table}`);
  await db.execute("UPDATE hosts SET state = 'up'");
  await updateSettings(db, 'alerts', { ...defaultSettings.alerts, timeZone: 'Asia/Taipei' }, null, now);
  (smtp.received as unknown[]).length = 0;
  (receiver.received as unknown[]).length = 0;
  smtp.refuse(undefined);
  receiver.answer(200);
  now += 86_400_000;
});

/** `count` hosts are silent, and what is to be told of it lies in the outbox. */
async function fallSilent(count: number): Promise<void> {
  await database.db.execute("UPDATE hosts SET state = 'up'");
  if (count > 0) await database.db.execute("UPDATE hosts SET state = 'unreachable', state_since = ?, reason = 'no route' WHERE id IN (?)", [now, cloud.hostIds.slice(0, count)]);
  await evaluateAlerts({ db: database.db, pollIntervalMs: 10_000, jobPeriods: new Map(), mailEnabled: true }, now);
}
const deliveries = async () => (await selectDeliveriesPage(database.db, {}, 100, 0)).deliveries;

describe('a notification', () => {
  it('reaches every admin in their language, and each webhook signed', async () => {
    await fallSilent(12);
    await deliverDue(deps, randomUUID());
    assert.deepEqual(smtp.received.map(({ to }) => to).sort(), ['root@example.org', 'zhang@example.org']);
    const [english, chinese] = ['root', 'zhang'].map((name) => smtp.received.find(({ to }) => to.startsWith(name)));
    assert.match(english?.subject ?? '', /^\[Cloud@HPC\] critical: 12 hosts do not answer$/);
    assert.match(english?.words ?? '', /Host host0 does not answer: no route \(\d{4}-\d\d-\d\d 11:00, Asia\/Taipei\)/);
    assert.match(english?.words ?? '', /and 4 more[\s\S]*https:\/\/cloud\.example\.org\/admin\/alerts/);
    assert.match(chinese?.subject ?? '', /嚴重: 12 台主機沒有回應/);

    const [hook] = receiver.received;
    assert.ok(hook !== undefined && receiver.received.length === 1);
    assert.ok(signatureHolds(hook, secret));
    assert.ok(!signatureHolds({ ...hook, body: `${hook.body} ` }, secret) && !signatureHolds(hook, newWebhookSecret()));
    assert.equal(Number(hook.headers['webhook-timestamp']), now / 1000);
    const body = JSON.parse(hook.body) as { id: string; type: string; groups: { total: number; what: string; severity: string; incidents: { url: string; subject: object }[] }[] };
    assert.deepEqual([body.id, body.type, body.groups[0]?.total, body.groups[0]?.what, body.groups[0]?.severity, body.groups[0]?.incidents.length], [hook.id, 'incidents', 12, 'opened', 'critical', 8]);
    assert.deepEqual((await deliveries()).map(({ state, attempts, error }) => [state, attempts, error]), [['sent', 1, null], ['sent', 1, null], ['sent', 1, null]]);
  });

  it('that was sent and not recorded, because its portal died, is sent again under the same id', async () => {
    await fallSilent(1);
    const dying: NotifyDeps = { ...deps, db: { ...database.db, execute: (sql, params) => (/state = 'sent'/.test(sql) || /SET state = \?/.test(sql) ? new Promise(() => undefined) : database.db.execute(sql, params)) } };
    // it never comes back: as if the process were gone between the answer of the receiver and the record
    void deliverDue(dying, randomUUID());
    for (const end = Date.now() + 10_000; receiver.received.length < 1 || smtp.received.length < 2;) {
      assert.ok(Date.now() < end, 'nothing was sent');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await deliverDue(deps, randomUUID());
    assert.equal(receiver.received.length, 1, 'while the lease holds nobody else sends it');
    now += 91_000;
    await deliverDue(deps, randomUUID());
    assert.equal(receiver.received.length, 2);
    assert.deepEqual(new Set(receiver.received.map(({ id }) => id)).size, 1);
    assert.ok(receiver.received.every((hook) => signatureHolds(hook, secret)), 'signed anew, with its own time');
    assert.equal(smtp.received.length, 4);
    assert.equal(new Set(smtp.received.map(({ messageId }) => messageId)).size, 2, 'one Message-ID for each admin');
    assert.match(smtp.received[0]?.messageId ?? '', /^<[0-9a-f-]{36}@example\.org>$/);
    assert.deepEqual((await deliveries()).map(({ state, attempts }) => [state, attempts]), [['sent', 2], ['sent', 2], ['sent', 2]]);
  });

  it('is tried again ever more rarely, with the reason, and given up after a day', async () => {
    smtp.refuse('421 come back tomorrow');
    receiver.answer(503);
    await fallSilent(1);
    const tries: number[] = [];
    for (let i = 0; i < 3000 && (await deliveries()).some(({ state }) => state === 'queued'); i++) {
      const before = receiver.received.length;
      await deliverDue(deps, randomUUID());
      if (receiver.received.length > before) tries.push(now);
      const next = Math.min(...(await deliveries()).filter(({ state }) => state === 'queued').map(({ runAfter }) => runAfter));
      now = Number.isFinite(next) ? Math.max(now + 1, next) : now;
    }
    assert.equal(tries.length, 14);
    assert.ok((tries.at(-1) ?? 0) - (tries[0] ?? 0) > 86_400_000);
    const ended = await deliveries();
    assert.deepEqual(new Set(ended.map(({ state }) => state)), new Set(['failed']));
    const hook = ended.find(({ target }) => target.kind === 'webhook');
    assert.deepEqual([hook?.error?.key, hook?.error?.params?.['status']], ['alerts.delivery.refused', 503]);
    assert.match(String(ended.find(({ target }) => target.kind === 'mail')?.error?.params?.['reason']), /come back tomorrow/);
  });

  it('whose portal ended in each attempt is given up like any other', async () => {
    await fallSilent(1);
    await database.db.execute('UPDATE deliveries SET attempts = 14');
    await deliverDue(deps, randomUUID());
    assert.deepEqual([smtp.received.length, receiver.received.length], [0, 0]);
    assert.deepEqual((await deliveries()).map(({ state, error }) => [state, error?.key]), Array.from({ length: 3 }, () => ['failed', 'alerts.delivery.interrupted']));
  });

  it('whose receiver wants less by now is never empty', async () => {
    await fallSilent(1);
    await deliverDue(deps, randomUUID());
    await fallSilent(0);
    now += 3_600_000;
    await fallSilent(0);
    await database.db.execute('UPDATE webhook_targets SET resolved = 0');
    await deliverDue(deps, randomUUID());
    await database.db.execute('UPDATE webhook_targets SET resolved = 1');
    const bodies = receiver.received.map(({ body }) => JSON.parse(body) as { text: string; groups: { what: string }[] });
    assert.deepEqual(bodies.map(({ groups }) => groups.map(({ what }) => what)), [['opened'], ['resolved']]);
    assert.notEqual(bodies[1]?.text, '');
  });

  it('of two portals at once goes out once', async () => {
    await fallSilent(3);
    await Promise.all(Array.from({ length: 4 }, () => deliverDue(deps, randomUUID())));
    assert.deepEqual([smtp.received.length, receiver.received.length], [2, 1]);
  });
});

describe('a webhook', () => {
  const outcome = () => sendTest(deps, { kind: 'webhook', id: targetId });

  it('is tested at once, with what came of it', async () => {
    assert.equal(await outcome(), undefined);
    assert.equal((JSON.parse(receiver.received[0]?.body ?? '') as { type: string }).type, 'test');
    receiver.answer(500);
    assert.deepEqual((await outcome())?.params, { status: 500 });
    now += 86_400_000;
    assert.equal(await deliverDue(deps, randomUUID()), 0, 'a test is not tried again');
  });

  it('is not followed elsewhere', async () => {
    const elsewhere = await startReceiver();
    receiver.answer(307, { location: elsewhere.url });
    assert.equal((await outcome())?.key, 'alerts.delivery.redirected');
    assert.equal(elsewhere.received.length, 0);
    await elsewhere.close();
  });

  it('whose secret no longer opens says so and sends nothing', async () => {
    const other: NotifyDeps = { ...deps, webhookSecrets: createWebhookSecrets('another session secret, as after a change') };
    assert.equal((await sendTest(other, { kind: 'webhook', id: targetId }))?.key, 'alerts.secret-lost');
    assert.equal(receiver.received.length, 0);
  });

  it('that nobody answers, or not in time, fails with the reason', async () => {
    await assert.rejects(postWebhook({ url: 'http://127.0.0.1:9/', secret }, { id: 'x', body: '{}' }, now), /alerts\.delivery\.no-answer.*reason\.bad-port/);
    receiver.answer('never');
    await assert.rejects(postWebhook({ url: receiver.url, secret }, { id: 'x', body: '{}' }, now, { timeoutMs: 100 }), /alerts\.delivery\.no-answer.*reason\.timed-out/);
    const closed = await startReceiver();
    await closed.close();
    await assert.rejects(postWebhook({ url: closed.url, secret }, { id: 'x', body: '{}' }, now), /reason\.refused/);
    await assert.rejects(postWebhook({ url: 'http://no-such-name.invalid/', secret }, { id: 'x', body: '{}' }, now), /reason\.unknown-name/);
    await assert.rejects(postWebhook({ url: receiver.url.replace('http:', 'https:'), secret }, { id: 'x', body: '{}' }, now), /reason\.(?:not-tls|cut-off)/);
  });

  for (const [code, message, kind] of [
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'Hostname/IP does not match certificate\'s altnames', 'certificate-name'], ['CERT_HAS_EXPIRED', 'certificate has expired', 'certificate-expired'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate', 'certificate-untrusted'], ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify the first certificate', 'certificate-untrusted'],
    ['UND_ERR_CONNECT_TIMEOUT', 'Connect Timeout Error', 'timed-out'], ['EDNS', 'getaddrinfo EAI_AGAIN mail', 'unknown-name'], ['ESOCKET', 'connect ECONNREFUSED 127.0.0.1:25', 'refused'],
  ] as const) {
    it(`says ${kind} of ${code} in both languages`, () => {
      const reason = networkReason(new TypeError('fetch failed', { cause: Object.assign(new Error(message), { code }) }));
      assert.equal(reason, `$alerts.delivery.reason.${kind}`);
      for (const language of languages) assert.notEqual(translator(language)(reason.slice(1)), reason.slice(1));
    });
  }

  it('keeps what it does not know, and a mail server’s own answer, in their own words', () => {
    assert.equal(networkReason(new Error('something new')), 'something new');
    assert.equal(networkReason(Object.assign(new Error('450 self-signed certificate seen before'), { responseCode: 450 })), '450 self-signed certificate seen before');
  });
});

describe('the daily digest', () => {
  const digest = () => sendDigest({ db: database.db, clock: deps.clock, log: deps.log, mailEnabled: true });
  /** of that day in Taipei */
  const at = (hour: number, minute: number): void => { now = Math.floor(now / 86_400_000) * 86_400_000 + ((hour - 8) * 60 + minute) * 60_000; };

  it('comes once a day at its time, by whichever portal, to every admin in their language', async () => {
    await fallSilent(2);
    await deliverDue(deps, randomUUID());
    (smtp.received as unknown[]).length = 0;
    at(31, 59);
    await digest();
    assert.equal((await deliveries()).filter(({ kind }) => kind === 'digest').length, 0);
    at(32, 0);
    await Promise.all([digest(), digest(), digest()]);
    await digest();
    await deliverDue(deps, randomUUID());
    assert.equal(smtp.received.length, 2);
    const english = smtp.received.find(({ to }) => to.startsWith('root'));
    assert.match(english?.subject ?? '', /2 incidents, 2 open/);
    assert.match(english?.words ?? '', /2 × Host does not answer[\s\S]*Open now: 2[\s\S]*Hosts that answer: 11 of 13[\s\S]*Room for new machines/);
    assert.match(smtp.received.find(({ to }) => to.startsWith('zhang'))?.words ?? '', /目前處理中：2 件/);
  });

  it('comes also when more is open, in longer words, than a mail should say', async () => {
    const reason = '沒有路由'.repeat(400);
    await insertIncidents(database.db, Array.from({ length: 25 }, (_, i) => ({
      id: randomUUID(), ruleId: rule.id, condition: rule.condition, subject: { kind: 'host' as const, id: `id${i}`, name: `kvm${i}` }, severity: 'critical' as const,
      sentence: say('alerts.said.host.unreachable', { subject: `kvm${i}`, reason }), openedAt: now,
    })), now);
    at(32, 0);
    await digest();
    await deliverDue(deps, randomUUID());
    const english = smtp.received.find(({ to }) => to.startsWith('root'));
    assert.match(english?.subject ?? '', /25 incidents, 25 open/);
    const listed = (english?.words.match(/Host kvm\d+ does not answer/g) ?? []).length;
    assert.ok(listed > 0 && listed < 25);
    assert.ok(english?.words.includes(`… and ${25 - listed} more`), english?.words);
  });

  it('is left out when there is nothing to say, unless it is wanted always', async () => {
    at(32, 1);
    await digest();
    assert.equal((await deliveries()).length, 0);
    now += 86_400_000;
    await updateSettings(database.db, 'alerts', { ...defaultSettings.alerts, timeZone: 'Asia/Taipei', digest: 'always' }, null, now);
    await digest();
    assert.equal((await deliveries()).length, 2);
    now += 86_400_000;
    await updateSettings(database.db, 'alerts', { ...defaultSettings.alerts, timeZone: 'Asia/Taipei', digest: 'off' }, null, now);
    await digest();
    assert.equal((await deliveries()).length, 2);
  });
});
