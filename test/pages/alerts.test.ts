// The pages of alerts over HTTP: what admins see and do, what stays secret, what the audit log says.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { defaultRules, type AlertRule } from '../../src/model/alert-rule.ts';
import { evaluateAlerts } from '../../src/operations/incidents.ts';
import { insertAlertRule, selectAlertRules } from '../../src/store/alert-rules.ts';
import { selectIncidentsPage } from '../../src/store/incidents.ts';
import { insertHostSamples, insertPoolSamples } from '../../src/store/samples.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { insertNotification, selectDeliveriesPage } from '../../src/store/notifications.ts';
import { selectSettings } from '../../src/store/settings.ts';
import { insertWebhookTarget, selectWebhookTargets, updateWebhookTarget } from '../../src/store/webhook-targets.ts';
import { auditSettled, loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { fillCloud, type FilledCloud } from '../helpers/filled-cloud.ts';
import { formFields } from '../helpers/form.ts';
import { assertHides, assertShows } from '../helpers/page-text.ts';
import type { Client, TestPortal } from '../helpers/portal.ts';
import { startTestPortal } from '../helpers/portal.ts';
import { startSmtp, type TestSmtp } from '../helpers/smtp.ts';
import { signatureHolds, startReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts';

let smtp: TestSmtp;
let receiver: WebhookReceiver;
let portal: TestPortal;
let cloud: FilledCloud;
let admin: Client;
let other: Client;

before(async () => {
  [smtp, receiver] = await Promise.all([startSmtp(), startReceiver()]);
  portal = await startTestPortal({ runner: false, env: { SMTP_URL: smtp.url, MAIL_FROM: 'cloud@example.org' } });
  const { db } = portal.deps;
  await makeFirstAdmin(db);
  await makeUser(db, 'zhang', { role: 'admin', language: 'zh-TW' });
  [admin, other] = await Promise.all([loggedIn(portal, 'admin'), loggedIn(portal, 'zhang')]);
  cloud = await fillCloud(db, { hosts: 6, instances: 3, at: Date.now() });
});
after(async () => {
  portal.deps.mailer.close();
  await portal.close();
  await Promise.all([smtp.close(), receiver.close()]);
});

const look = () => evaluateAlerts({ db: portal.deps.db, pollIntervalMs: 10_000, jobPeriods: new Map(), mailEnabled: true }, Date.now());
const audit = async () => {
  await auditSettled(portal.deps.db);
  return portal.deps.db.query<{ action: string; target: string; detail: string; result: string }>("SELECT action, target, detail, result FROM audit WHERE action LIKE 'alert%' OR action LIKE 'webhook%' OR action LIKE 'incident%' ORDER BY at");
};
const ids = async () => (await selectIncidentsPage(portal.deps.db, { states: ['open'] }, 100, 0)).incidents;

describe('incidents', () => {
  it('stand on the page, in the navigation and on the dashboard, in the reader’s language', async () => {
    const { db } = portal.deps;
    assert.match((await admin.get('/admin/alerts')).text, /No incident is open/);
    assert.doesNotMatch((await admin.get('/admin/hosts')).text, /open incidents/);
    await insertAlertRule(db, { ...(defaultRules[0] as AlertRule), holdSeconds: 0 }, 1);
    await db.execute("UPDATE hosts SET state = 'unreachable', state_since = ?, reason = '<b>no route</b>' WHERE id IN (?)", [Date.now(), cloud.hostIds.slice(0, 5)]);
    await look();
    const page = await admin.get('/admin/alerts');
    assert.match(page.text, /5 open, 0 acknowledged[\s\S]*5 hosts do not answer[\s\S]*Host host\d does not answer: &lt;b&gt;no route/);
    assert.match((await other.get('/admin/alerts')).text, /5 台主機沒有回應[\s\S]*主機 host\d 沒有回應/);
    for (const path of ['/admin', '/admin/hosts', '/admin/users']) assert.match((await admin.get(path)).text, /5 open incidents/, path);
    assert.match((await admin.get('/admin')).text, /Host host\d does not answer/);
    assert.doesNotMatch((await admin.get('/instances')).text, /open incidents/);
  });

  it('are acknowledged by the first, with a note, and the second is told so', async () => {
    const [incident] = await ids();
    assert.ok(incident);
    const path = `/admin/alerts/incidents/${incident.id}`;
    assert.equal((await admin.post(`${path}/acknowledge`, { note: 'I am on my way', next: '/admin/alerts' })).location, '/admin/alerts');
    assert.equal((await other.post(`${path}/acknowledge`, { note: 'me too' })).status, 409);
    const page = (await admin.get(path)).text;
    assert.match(page, /acknowledged[\s\S]*Acknowledged · admin[\s\S]*I am on my way/);
    assertShows(page, /A notification was queued for administrators and receivers · <a href="\/admin\/alerts\/deliveries">/);
    assertShows((await other.get(path)).text, /給管理員與接收端的通知已排入佇列/);
    assert.match((await admin.get('/admin/alerts')).text, /4 open, 1 acknowledged/);
    assert.equal((await admin.post(`${path}/acknowledge`, { note: 'x'.repeat(501) })).status, 422);
    assert.equal((await admin.post('/admin/alerts/incidents/no-such/acknowledge')).status, 404);
  });

  it('are acknowledged all at once, or those of one rule', async () => {
    const before = await ids();
    assert.equal((await admin.post('/admin/alerts/acknowledge', { note: 'power cut', rule: crypto.randomUUID() })).status, 303);
    assert.equal((await ids()).length, before.length, 'another rule’s');
    await admin.post('/admin/alerts/acknowledge', { note: 'power cut', rule: before[0]?.ruleId ?? '' });
    assert.equal((await ids()).length, 0);
    assert.match((await admin.get('/admin/alerts')).text, /4 incidents acknowledged[\s\S]*0 open, 5 acknowledged/);
    assert.deepEqual((await audit()).filter(({ action }) => action === 'incident.acknowledge').map(({ result }) => result), ['ok', 'refused', 'refused', 'refused', 'ok', 'ok']);
  });

  it('stay in the history, with filters and pages', async () => {
    const { db } = portal.deps;
    await db.execute("UPDATE hosts SET state = 'up'");
    await look();
    const history = async (query: string): Promise<number> => ((await admin.get(`/admin/alerts/history${query}`)).text.match(/incidents\/[0-9a-f-]{36}"/g) ?? []).length;
    assert.deepEqual(await Promise.all(['', '?state=resolved', '?state=open', '?severity=critical&kind=host', '?severity=info', '?from=2020-01-01&until=2020-02-01', `?rule=${defaultRules[0]?.id}`, '?state=nonsense&page=-1'].map(history)), [5, 5, 0, 5, 0, 0, 5, 5]);
  });
});

describe('rules', () => {
  const form = { condition: 'pool.used', direction: 'above', limit: '80', clear: '70', holdMinutes: '0', severity: 'warning', scope: '', name: '', quietFrom: '', quietUntil: '', enabled: 'on' };

  it('are shown before they are saved: what they hold for, and how often they would have fired', async () => {
    const { db } = portal.deps;
    const now = Date.now();
    await insertPoolSamples(db, Array.from({ length: 60 }, (_, i) => ({ subjectId: cloud.poolSubjectId, at: now - i * 60_000, capacityBytes: 1000 * 2 ** 20, availableBytes: (i >= 30 && i < 35) || i < 2 ? 100 * 2 ** 20 : 500 * 2 ** 20 })));
    const hosts = await selectHosts(db);
    await insertHostSamples(db, hosts.flatMap(({ subjectId }, index) => Array.from({ length: 60 }, (_, i) => ({ subjectId, at: now - i * 60_000, up: index === 0 && i > 20 && i < 25 ? 0 as const : 1 as const, cpuPercent: 10, memoryUsedMib: 1, memoryTotalMib: 10 }))));
    await admin.get('/admin/alerts/rules/new?condition=pool.used');
    const shown = await admin.post('/admin/alerts/rules/preview', form);
    assert.equal(shown.status, 200);
    assert.match(shown.text, /Holds now for 1\.[\s\S]*Would have fired 2 times[\s\S]*default: 2/);
    assert.match((await admin.post('/admin/alerts/rules/preview', { ...form, holdMinutes: '4' })).text, /Would have fired 1 times/);
    assert.match((await admin.post('/admin/alerts/rules/preview', { ...form, condition: 'host.unreachable' })).text, /Holds now for 0\.[\s\S]*Would have fired 1 times/);
    assert.match((await admin.post('/admin/alerts/rules/preview', { ...form, condition: 'instance.lost' })).text, /no samples are kept/);
    assert.equal((await selectAlertRules(db)).length, 1, 'nothing was saved');
  });

  it('that are wrong are not shown: a preview says why', async () => {
    const fragment = async (client: Client, wrong: object): Promise<string> => {
      const body = new URLSearchParams({ ...form, ...wrong, _csrf: client.csrfToken });
      const response = await client.request('/admin/alerts/rules/preview', { method: 'POST', headers: { 'x-fragment': 'preview' }, body });
      assert.equal(response.status, 200);
      return response.text();
    };
    await Promise.all([admin.get('/about'), other.get('/about')]);
    const english = await fragment(admin, { limit: '120', scope: 'no-such-pool' });
    assertShows(english, /Limit: [^<]*100/);
    assertShows(english, /Only these: There is nothing called no-such-pool/);
    assertShows(await fragment(other, { limit: '120' }), /請先修正[\s\S]*門檻: [^<]*100/);
    assertHides(await fragment(admin, {}), /put right/);
  });

  it('are made, changed, switched and deleted; of two admins the second is asked', async () => {
    const { db } = portal.deps;
    assert.equal((await admin.post('/admin/alerts/rules', { ...form, name: 'Nearly full', scope: 'default', quietFrom: '22:00', quietUntil: '07:00' })).status, 303);
    const made = (await selectAlertRules(db)).find(({ name }) => name === 'Nearly full');
    assert.ok(made);
    assert.deepEqual([made.limit, made.clear, made.scope.length, made.quiet, made.holdSeconds], [80, 70, 1, { from: 1320, until: 420 }, 0]);
    const path = `/admin/alerts/rules/${made.id}`;
    assert.match((await admin.get(path)).text, /value="80"[\s\S]*>default<\/textarea>[\s\S]*value="22:00"/);
    assert.equal((await admin.post(path, { ...form, limit: '85', version: String(made.updatedAt) })).status, 303);
    const asked = await other.post(path, { ...form, limit: '95', severity: 'critical', version: String(made.updatedAt) });
    assert.equal(asked.status, 409);
    assertShows(asked.text, /value="95"[\s\S]*目前的值：85/);
    assertShows(asked.text, /value="critical" selected[\s\S]*目前的值：警告/);
    assert.equal(asked.text.match(/目前的值：/g)?.length, 2, 'only where the two differ');
    const again = formFields(asked.text, /<form [^>]*id="rule-form"/);
    assert.equal((await other.post(path, again)).status, 303, 'saved once more it takes the place');
    assert.equal((await selectAlertRules(db)).find(({ id }) => id === made.id)?.limit, 95);
    await admin.post(`${path}/switch`, { enabled: '' });
    assert.equal((await selectAlertRules(db)).find(({ id }) => id === made.id)?.enabled, false);
    assertShows((await admin.get(path)).text, new RegExp(`<a [^>]*href="${path}/delete"`));
    const confirm = await admin.get(`${path}/delete`);
    assertShows(confirm.text, /Delete the rule [^<]*\?[\s\S]*open incidents end: 0/);
    assert.ok((await selectAlertRules(db)).some(({ id }) => id === made.id), 'asking deletes nothing');
    assert.equal((await admin.post(`${path}/delete`)).status, 303);
    for (const gone of [path, `${path}/delete`]) assert.equal((await admin.get(gone)).status, 404);
    assert.deepEqual((await audit()).filter(({ action }) => action.startsWith('alert-rule')).map(({ action, result }) => `${action} ${result}`), ['alert-rule.create ok', 'alert-rule.change ok', 'alert-rule.change refused', 'alert-rule.change ok', 'alert-rule.change ok', 'alert-rule.delete ok']);
  });

  it('that many switch at once answer each with a sentence', async () => {
    const [rule] = await selectAlertRules(portal.deps.db);
    assert.ok(rule);
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? admin : other).post(`/admin/alerts/rules/${rule.id}/switch`, { enabled: i % 3 === 0 ? 'on' : '' })));
    assert.deepEqual([...new Set(answers.map(({ status, location }) => `${status} ${location}`))], ['303 /admin/alerts/rules']);
    await Promise.all([admin.get('/admin/alerts/rules'), other.get('/admin/alerts/rules')]);
    await admin.post(`/admin/alerts/rules/${rule.id}/switch`, { enabled: 'on' });
    assertShows((await admin.get('/admin/alerts/rules')).text, /Saved/);
  });

  for (const [wrong, words] of [
    [{ limit: '' }, 'required'], [{ limit: '100.5' }, '100'], [{ condition: 'instance.cpu', clear: '101' }, '100'], [{ clear: '90' }, 'not be above the limit'], [{ direction: 'below', clear: '70' }, 'not be below the limit'], [{ holdMinutes: '-1' }, 'at least 0'],
    [{ scope: 'default\nno-such-pool' }, 'nothing called no-such-pool'], [{ scope: '儲存池' }, 'nothing called 儲存池'], [{ quietFrom: '22:00' }, 'required'], [{ quietFrom: '9', quietUntil: '10:00' }, 'time of day'], [{ severity: 'x' }, 'choices'],
  ] as const) {
    it(`are refused with ${JSON.stringify(wrong)}, and what was typed stays`, async () => {
      const answer = await admin.post('/admin/alerts/rules', { ...form, name: 'as I typed it', ...wrong });
      assert.equal(answer.status, 422);
      assert.match(answer.text, /as I typed it/);
      assert.match(answer.text, /invalid-feedback/);
      if (words !== 'required' && words !== 'at least 0' && words !== 'choices') assert.ok(answer.text.includes(words), words);
    });
  }

  it('are told all that is wrong with them at once', async () => {
    const { text, status } = await admin.post('/admin/alerts/rules', { ...form, clear: '90', holdMinutes: '', scope: 'no-such-pool', quietFrom: '22:00' });
    assert.equal(status, 422);
    for (const field of ['clear', 'holdMinutes', 'scope', 'quietUntil']) assertShows(text, new RegExp(`id="field-${field}-error"`));
    assertShows(text, /First this must be put right[\s\S]*For at least:/);
    const beyond = await admin.post('/admin/alerts/rules/preview', { ...form, condition: 'instance.disk-read', limit: '500', clear: '400' });
    assert.equal(beyond.status, 200, 'only a share ends at 100');
  });

  it('of every condition have a form', async () => {
    const chooser = (await admin.get('/admin/alerts/rules/new')).text;
    const conditions = [...chooser.matchAll(/<option value="([\w.-]+)"/g)].map((match) => match[1] ?? '');
    assert.ok(conditions.length > 15);
    for (const condition of conditions) assert.equal((await admin.get(`/admin/alerts/rules/new?condition=${condition}`)).status, 200, condition);
  });
});

describe('receivers', () => {
  const form = { name: 'chat', url: '', minSeverity: 'info', resolved: 'on', enabled: 'on' };
  let secret = '';

  it('are shown their signing secret once; it stands on no page, in no row and no audit entry after that', async () => {
    const made = await admin.post('/admin/alerts/targets', { ...form, url: receiver.url });
    assert.equal(made.status, 200);
    secret = /whsec_[A-Za-z0-9+/=]+/.exec(made.text.replaceAll('&#43;', '+').replaceAll('&#x2F;', '/').replaceAll('&#x3D;', '='))?.[0] ?? '';
    assert.ok(secret.length > 40, made.text);
    const [target] = await selectWebhookTargets(portal.deps.db);
    for (const path of ['/admin/alerts/targets', `/admin/alerts/targets/${target?.id}`, '/admin/audit']) assert.ok(!(await admin.get(path)).text.includes('whsec_'), path);
    const tables = await portal.deps.db.query<{ name: string }>('SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()');
    for (const { name } of tables) {
      const rows = await portal.deps.db.query<Record<string, unknown>>(`SELECT * FROM ${name}`);
      const text = rows.map((row) => Object.values(row).map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : String(value))).join(' ')).join('\n');
      assert.ok(!text.includes(secret) && !text.includes(secret.slice(6, 40)), name);
    }
  });

  it('are tested, with the result on the page and in the history', async () => {
    const [target] = await selectWebhookTargets(portal.deps.db);
    assert.equal((await admin.post(`/admin/alerts/targets/${target?.id}/test`)).status, 303);
    const taken = (await admin.get('/admin/alerts/targets')).text;
    assertShows(taken, /The test was taken by chat/);
    assertShows(taken, /text-success[\s\S]*delivered <time/);
    const [hook] = receiver.received;
    assert.ok(hook && signatureHolds(hook, secret));
    receiver.answer(500);
    await admin.post(`/admin/alerts/targets/${target?.id}/test`);
    assertShows((await admin.get('/admin/alerts/targets')).text, /The test did not arrive at chat\. The receiver answered with status 500/);
    const unwell = (await admin.get('/admin/alerts/targets')).text;
    assertShows(unwell, /text-danger[\s\S]*failed <time[\s\S]*<\/time>\s+· The receiver answered with status 500/);
    assertShows((await other.get('/admin/alerts/targets')).text, /傳送失敗 <time[\s\S]*<\/time>\s+· 接收端回覆狀態碼 500/);
    const history = (await admin.get('/admin/alerts/deliveries')).text;
    assert.match(history, /given up[\s\S]*answered with status 500[\s\S]*delivered/);
    assert.doesNotMatch(history, /words of the receiver/, 'what it answers is not shown: it could be anything that the portal reaches');
    assert.doesNotMatch((await admin.get('/admin/alerts/deliveries?state=sent')).text, /status 500/);
    receiver.answer(200);
  });

  it('get a new secret, and the old one is void', async () => {
    const [target] = await selectWebhookTargets(portal.deps.db);
    const renewed = await admin.post(`/admin/alerts/targets/${target?.id}/secret`);
    assert.match(renewed.text, /whsec_/);
    await admin.post(`/admin/alerts/targets/${target?.id}/test`);
    const hook = receiver.received.at(-1);
    assert.ok(hook && !signatureHolds(hook, secret));
  });

  for (const url of ['ftp://example.org/', 'javascript:alert(1)', 'https://user:pass@example.org/', 'no address', 'file:///etc/passwd']) {
    it(`at ${url} are refused`, async () => assert.equal((await admin.post('/admin/alerts/targets', { ...form, url })).status, 422));
  }

  it('by mail: a test comes to whoever asks, in their language; without a server that is said', async () => {
    await other.post('/admin/alerts/test-mail');
    assert.deepEqual(smtp.received.map(({ to }) => to), ['zhang@example.org']);
    assert.match(smtp.received[0]?.words ?? '', /測試訊息/);
    smtp.refuse('550 not today');
    await admin.post('/admin/alerts/test-mail');
    assert.match((await admin.get('/admin/alerts/targets')).text, /The test did not arrive at admin@example\.org\. No answer: .*not today/);
    smtp.refuse(undefined);
  });

  it('are changed and deleted', async () => {
    const [target] = await selectWebhookTargets(portal.deps.db);
    assert.equal((await admin.post(`/admin/alerts/targets/${target?.id}`, { ...form, name: 'pager', url: 'https://example.org/x' })).status, 303);
    assert.deepEqual((await selectWebhookTargets(portal.deps.db)).map(({ name, url }) => [name, url]), [['pager', 'https://example.org/x']]);
    const { db } = portal.deps;
    const path = `/admin/alerts/targets/${target?.id}`;
    await insertNotification(db, { id: crypto.randomUUID(), kind: 'incidents', at: Date.now() + 60_000, content: { groups: [] } }, [{ kind: 'webhook', id: target?.id ?? '' }]);
    const waiting = async (): Promise<number> => (await selectDeliveriesPage(db, { state: 'queued' }, 100, 0)).deliveries.filter(({ target: { id } }) => id === target?.id).length;
    assertShows((await admin.get(path)).text, new RegExp(`<a [^>]*href="${path}/delete"`));
    assertShows((await admin.get(`${path}/delete`)).text, /Delete the webhook pager\?[\s\S]*wait for it are dropped: 1/);
    assert.deepEqual([(await selectWebhookTargets(db)).length, await waiting()], [1, 1], 'asking deletes nothing');
    await admin.post(`${path}/delete`);
    assert.deepEqual([(await selectWebhookTargets(db)).length, await waiting()], [0, 0]);
    assert.equal((await admin.get(`${path}/delete`)).status, 404);
    assert.ok((await audit()).every(({ detail, target: name }) => !/whsec_|\/hook|\/x/.test(`${detail}${name}`)), 'nor the path of an address, which many chats take for a password');
  });
});

describe('settings', () => {
  const form = { group: 'alerts', version: '0', 'alerts.mailSeverity': 'critical', 'alerts.mailResolved': '', 'alerts.notificationsPerHour': '6', 'alerts.calmMinutes': '15', 'alerts.digest': 'always', 'alerts.digestAt': '07:30', 'alerts.timeZone': 'Asia/Taipei' };

  it('of notifications are saved, and wrong times and zones refused', async () => {
    for (const wrong of [{ 'alerts.timeZone': 'Mars/Phobos' }, { 'alerts.digestAt': '25:00' }, { 'alerts.notificationsPerHour': '0' }]) {
      assert.equal((await admin.post('/admin/alerts/settings', { ...form, ...wrong })).status, 422, JSON.stringify(wrong));
    }
    assert.equal((await admin.post('/admin/alerts/settings', form)).status, 303);
    assert.deepEqual((await selectSettings(portal.deps.db)).alerts, { mailSeverity: 'critical', mailResolved: false, notificationsPerHour: 6, calmMinutes: 15, digest: 'always', digestAt: '07:30', timeZone: 'Asia/Taipei' });
  });
});

describe('without a mail server', () => {
  it('and without a receiver that is on, the pages say that nobody is notified', async () => {
    const silent = await startTestPortal({ runner: false });
    try {
      await makeFirstAdmin(silent.deps.db);
      const client = await loggedIn(silent, 'admin');
      const pages = ['/admin/alerts', '/admin/alerts/rules'];
      const target = { id: crypto.randomUUID(), name: 'chat', url: 'https://example.org/', enabled: false, minSeverity: 'info' as const, resolved: true, updatedAt: 0 };
      await insertWebhookTarget(silent.deps.db, target, Buffer.from('sealed'), 1);
      for (const path of pages) assertShows((await client.get(path)).text, /Nobody is notified: there is no mail server and no receiver\. <a [^>]*href="\/admin\/alerts\/targets"/);
      await updateWebhookTarget(silent.deps.db, { ...target, enabled: true }, 2);
      for (const path of pages) assertHides((await client.get(path)).text, /Nobody is notified/);
    } finally {
      await silent.close();
    }
    assertHides((await admin.get('/admin/alerts')).text, /Nobody is notified/);
  });
});
