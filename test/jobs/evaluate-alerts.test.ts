// Rules on a real database: samples and states in, incidents and one notification out.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { say, type Sentence } from '../../src/errors.ts';
import { evaluateAlerts, recordMessage, tellMessage } from '../../src/operations/incidents.ts';
import { defaultRules, laterRules, messageRuleId, type AlertRule } from '../../src/model/alert-rule.ts';
import type { CertificateEnd } from '../../src/model/host-check.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { insertAlertRule, seedAlertRules, selectAlertRules, deleteAlertRule, updateAlertRule, selectAlertRule } from '../../src/store/alert-rules.ts';
import { emptyReport } from '../../src/model/recovery.ts';
import type { Database } from '../../src/store/db.ts';
import { upsertHostCheck } from '../../src/store/host-checks.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { claimIncidentAcknowledged, selectIncidentEvents, selectIncidentsPage } from '../../src/store/incidents.ts';
import { claimHostRecovery, updateRecovery } from '../../src/store/recoveries.ts';
import { insertHostSamples, insertInstanceSamples, insertPoolSamples } from '../../src/store/samples.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { makeFirstAdmin } from '../helpers/accounts.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { fillCloud, type FilledCloud } from '../helpers/filled-cloud.ts';

let database: TestDatabase;
let db: Database;
let cloud: FilledCloud;
let adminId: string;
const start = 1_800_000_000_000;
let now = start;

before(async () => {
  database = await createTestDatabase();
  ({ db } = database);
  adminId = (await makeFirstAdmin(db)).id;
  cloud = await fillCloud(db, { hosts: 13, instances: 20, at: start });
});
after(() => database.close());

beforeEach(async () => {
  for (const table of ['alert_rules', 'alert_states', 'incidents', 'incident_events', 'notifications', 'deliveries', 'recoveries', 'host_samples', 'instance_samples', 'pool_samples']) await db.execute(`DELETE FROM ${table}`);
  await db.execute("UPDATE hosts SET state = 'up', wish = 'enabled', state_since = 0, recovery_id = NULL");
  await db.execute("UPDATE instances SET state = 'running', state_at = 0");
  await updateSettings(db, 'alerts', { ...defaultSettings.alerts, notificationsPerHour: 100 }, null, now);
  now += 86_400_000;
});

const base: AlertRule = { ...(defaultRules[0] as AlertRule), id: '11111111-1111-4111-8111-111111111111', holdSeconds: 0 };
const cpuRule: AlertRule = { ...base, id: '22222222-2222-4222-8222-222222222222', condition: 'instance.cpu', limit: 90, clear: 70, severity: 'warning' };

async function rule(over: Partial<AlertRule> = {}): Promise<AlertRule> {
  await insertAlertRule(db, { ...base, ...over }, now);
  return { ...base, ...over };
}
/** Half a minute later. */
async function look(): Promise<Awaited<ReturnType<typeof evaluateAlerts>>> {
  now += 30_000;
  return evaluateAlerts({ db, pollIntervalMs: 10_000, jobPeriods: new Map([['collect-metrics', 10_000]]), mailEnabled: true }, now);
}
async function measure(percent: (index: number) => number | undefined): Promise<void> {
  const samples = cloud.instances.flatMap(({ subjectId }, index) => {
    const cpuPercent = percent(index);
    return cpuPercent === undefined ? [] : [0, 10_000, 20_000].map((before) => ({ subjectId, at: now + 30_000 - before, cpuPercent, memoryUsedMib: 100 }));
  });
  await insertInstanceSamples(db, samples);
}
const incidents = async () => (await selectIncidentsPage(db, {}, 500, 0)).incidents;
const notifications = () => db.query<{ kind: string; content: Buffer }>('SELECT kind, content FROM notifications ORDER BY at, id');
interface Told { readonly condition: string; readonly sentence: Sentence; readonly incidents: readonly { readonly id: string }[] }
const groupsTold = async (index: number): Promise<readonly Told[]> => (JSON.parse((await notifications())[index]?.content.toString('utf8') ?? '{"groups":[]}') as { groups: readonly Told[] }).groups;
const hostsAre = (state: string, count: number, since = now) => db.execute('UPDATE hosts SET state = ?, state_since = ? WHERE id IN (?)', [state, since, cloud.hostIds.slice(0, count)]);

describe('shipped rules', () => {
  it('are put in once: a deleted one stays deleted, and several portals may start together', async () => {
    await Promise.all([seedAlertRules(db, now), seedAlertRules(db, now), seedAlertRules(db, now)]);
    const all = defaultRules.length + Object.values(laterRules).flat().length;
    assert.equal((await selectAlertRules(db)).length, all);
    await deleteAlertRule(db, base.id);
    await deleteAlertRule(db, (defaultRules[0] as AlertRule).id);
    await seedAlertRules(db, now);
    assert.equal((await selectAlertRules(db)).length, all - 1);
  });

  it('of a later release come once to a cloud that had those before', async () => {
    await seedAlertRules(db, now);
    await db.execute("DELETE FROM settings WHERE name = 'seeded:alert-rules:certificates'");
    await db.execute('DELETE FROM alert_rules');
    await seedAlertRules(db, now);
    const conditions = async (): Promise<string[]> => (await selectAlertRules(db)).map(({ condition }) => condition);
    assert.deepEqual(await conditions(), ['host.certificate']);
    await db.execute('DELETE FROM alert_rules');
    await seedAlertRules(db, now);
    assert.deepEqual(await conditions(), []);
  });

  it('find nothing wrong with a cloud that is well', async () => {
    for (const each of [...defaultRules, ...Object.values(laterRules).flat()]) await insertAlertRule(db, each, now);
    await measure(() => 5);
    await insertHostSamples(db, (await selectHosts(db)).map(({ subjectId }) => ({ subjectId, at: now + 20_000, cpuPercent: 10, memoryUsedMib: 100, memoryTotalMib: 1000 })));
    for (let i = 0; i < 3; i++) await look();
    assert.deepEqual((await incidents()).map(({ sentence }) => sentence), []);
  });
});

describe('certificates', () => {
  const dayMs = 86_400_000;
  const checked = async (hostId: string, ends: readonly CertificateEnd[]): Promise<void> => upsertHostCheck(db, hostId, { at: now, networks: [], clock: null, certificates: ends, warnings: [] });

  it('that end within thirty days are an incident of their host, until they are renewed; of a host that has gone away meanwhile, too', async () => {
    await rule({ condition: 'host.certificate', severity: 'warning' });
    const [first, second, third] = cloud.hostIds as [string, string, string];
    await checked(first, [{ of: 'host', notAfter: now + 400 * dayMs }, { of: 'portal', notAfter: now + 29 * dayMs }, { of: 'authority', notAfter: now + 30 * dayMs }]);
    await checked(second, [{ of: 'host', notAfter: now + 31 * dayMs }]);
    // as the release before wrote it
    await checked(third, [{ of: 'host', notAfter: now }]);
    await db.execute('UPDATE host_checks SET certificates = NULL WHERE host_id = ?', [third]);
    await look();
    const { name } = (await selectHosts(db)).find(({ id }) => id === first) ?? assert.fail();
    const date = new Date(now - 30_000 + 29 * dayMs).toISOString().slice(0, 10);
    assert.deepEqual((await incidents()).map(({ sentence }) => sentence), [say('alerts.said.host.certificate', { subject: name, whose: '$hosts.certificate.portal', date })]);
    await hostsAre('unreachable', 1);
    await look();
    assert.deepEqual((await incidents()).map(({ state }) => state), ['open']);
    await checked(first, [{ of: 'portal', notAfter: now + 365 * dayMs }]);
    for (let i = 0; i < 2; i++) await look();
    assert.deepEqual((await incidents()).map(({ state }) => state), ['resolved']);
    await db.execute('DELETE FROM host_checks');
  });
});

describe('many at once', () => {
  it('twelve silent hosts are twelve incidents, one notification and one mail to each admin', async () => {
    await rule();
    await hostsAre('unreachable', 12);
    assert.deepEqual(await look(), { opened: 12, resolved: 0, told: true });
    const sent = await notifications();
    assert.equal(sent.length, 1);
    const content = JSON.parse(sent[0]?.content.toString('utf8') ?? '') as { groups: { total: number; sentence: object }[] };
    assert.deepEqual(content.groups.map(({ total, sentence }) => ({ total, sentence })), [{ total: 12, sentence: say('alerts.many.host.unreachable', { total: 12 }) }]);
    assert.deepEqual(await db.query('SELECT target_kind, target_id, state FROM deliveries'), [{ target_kind: 'mail', target_id: adminId, state: 'queued' }]);
    await look();
    assert.equal((await notifications()).length, 1, 'and it is told once');
  });

  it('two portals that look at the same moment make one incident and one notification', async () => {
    await rule();
    for (let round = 0; round < 5; round++) {
      await hostsAre('unreachable', 12);
      now += 3_600_000;
      const at = now;
      const looks = await Promise.all(Array.from({ length: 3 }, () => evaluateAlerts({ db, pollIntervalMs: 10_000, jobPeriods: new Map(), mailEnabled: true }, at)));
      assert.equal(looks.reduce((sum, { opened }) => sum + opened, 0), 12);
      assert.equal((await incidents()).filter(({ state }) => state === 'open').length, 12);
      assert.equal((await notifications()).length, 2 * round + 1);
      await hostsAre('up', 12);
      await look();
      now += 3_600_000;
      await look();
      assert.equal((await notifications()).length, 2 * round + 2, 'and one that says it is over');
    }
  });

  it('a dead host is one incident: its machines’ missing samples and old values are none', async () => {
    await rule();
    await rule(cpuRule);
    await rule({ id: '33333333-3333-4333-8333-333333333333', condition: 'instance.unmeasured' });
    await measure((index) => (index === 0 ? 99 : 5));
    await look();
    assert.deepEqual((await incidents()).map(({ condition, subject }) => [condition, subject.name]), [['instance.cpu', 'vm0']]);
    await hostsAre('unreachable', 1);
    for (let i = 0; i < 6; i++) {
      await measure((index) => (cloud.instances[index]?.hostId === cloud.hostIds[0] ? undefined : 5));
      await look();
    }
    const open = (await incidents()).filter(({ state }) => state === 'open');
    assert.deepEqual(open.map(({ condition, subject }) => `${condition} ${subject.name}`).sort(), ['host.unreachable host0', 'instance.cpu vm0'], 'vm0 is held, not over');
  });
});

describe('one incident', () => {
  it('of a flapping host is told once, counts how often it came back, and is told to be over when it stays so', async () => {
    await rule();
    for (let i = 0; i < 6; i++) {
      await hostsAre('unreachable', 1);
      await look();
      await hostsAre('up', 1);
      await look();
    }
    const [incident, ...others] = await incidents();
    assert.ok(incident);
    assert.deepEqual([others.length, incident.reopened, incident.state, (await notifications()).length], [0, 5, 'resolved', 1]);
    now += 600_000;
    await look();
    assert.equal((await notifications()).length, 2);
    assert.deepEqual((await selectIncidentEvents(db, incident.id)).map(({ kind }) => kind).slice(-1), ['told-resolved']);
    await hostsAre('unreachable', 1);
    await look();
    assert.equal((await incidents()).length, 2, 'later it is another one');
  });

  it('waits for its hold time, ends at its lower limit only, and not for want of samples', async () => {
    await rule({ ...cpuRule, holdSeconds: 60 });
    const states: string[] = [];
    for (const value of [95, 95, 95, 80, 75, undefined, undefined, undefined, 65]) {
      await measure((index) => (index === 3 ? value : 5));
      await look();
      states.push((await incidents())[0]?.state ?? '-');
    }
    // the mean of a minute: 80 and 75 are between the limits, old samples fade
    assert.deepEqual(states.slice(0, 2), ['-', '-']);
    assert.deepEqual(states.slice(2, 8), Array.from({ length: 6 }, () => 'open'));
    await measure((index) => (index === 3 ? 10 : 5));
    await look();
    assert.equal((await incidents())[0]?.state, 'resolved');
  });

  it('ends when its machine is switched off or deleted, and when its rule goes', async () => {
    await rule(cpuRule);
    await measure((index) => (index < 3 ? 99 : 5));
    await look();
    const [off, gone] = cloud.instances;
    await db.execute("UPDATE instances SET state = 'stopped' WHERE id = ?", [off?.id ?? '']);
    const [kept] = await db.query<Record<string, string>>('SELECT * FROM instances WHERE id = ?', [gone?.id ?? '']);
    await db.execute('DELETE FROM instances WHERE id = ?', [gone?.id ?? '']);
    now += 60_000;
    await look();
    await deleteAlertRule(db, cpuRule.id);
    await look();
    const ends = new Map((await incidents()).map(({ subject, endReason }) => [subject.name, endReason]));
    assert.deepEqual([ends.get('vm0'), ends.get('vm1'), ends.get('vm2')], ['off', 'gone', 'rule']);
    await db.execute(`INSERT INTO instances (${Object.keys(kept ?? {}).join(', ')}) VALUES (${Object.keys(kept ?? {}).map(() => '?').join(', ')})`, Object.values(kept ?? {}));
  });

  it('that an admin has acknowledged stays so when it comes back, and one admin is the first', async () => {
    await rule();
    await hostsAre('unreachable', 1);
    await look();
    const [incident] = await incidents();
    assert.ok(incident);
    const claims = await Promise.all([1, 2, 3].map((n) => db.transaction((tx) => claimIncidentAcknowledged(tx, incident.id, adminId, `note ${n}`, now))));
    assert.equal(claims.filter(Boolean).length, 1);
    await hostsAre('up', 1);
    await look();
    await hostsAre('unreachable', 1);
    await look();
    assert.equal((await incidents())[0]?.state, 'acknowledged');
  });
});

describe('telling', () => {
  it('is bounded in an hour, and what was held back is told together', async () => {
    await rule({ severity: 'warning' });
    await updateSettings(db, 'alerts', { ...defaultSettings.alerts, notificationsPerHour: 2 }, null, now);
    for (let count = 1; count <= 6; count++) {
      await hostsAre('unreachable', count);
      await look();
    }
    assert.equal((await notifications()).length, 2);
    now += 3_600_000;
    await look();
    const sent = await notifications();
    assert.equal(sent.length, 3);
    assert.equal((JSON.parse(sent[2]?.content.toString('utf8') ?? '') as { groups: { total: number }[] }).groups[0]?.total, 4);
  });

  it('does not wait for the hour to be over when something critical is new, in one notification a look', async () => {
    await rule();
    await updateSettings(db, 'alerts', { ...defaultSettings.alerts, notificationsPerHour: 1 }, null, now);
    const deps = { db, mailEnabled: true };
    await hostsAre('unreachable', 1);
    await look();
    await hostsAre('unreachable', 3);
    await look();
    assert.equal((await notifications()).length, 2);
    for (const host of ['host5', 'host6', 'host7']) await tellMessage(deps, say('recovery.waits.proof', { host }), now);
    assert.equal((await notifications()).length, 2, 'a hundred hosts lost at once are not a hundred mails');
    await look();
    assert.deepEqual((await groupsTold(2)).map(({ sentence }) => String(sentence.params?.['host'])).sort(), ['host5', 'host6', 'host7']);
    await tellMessage(deps, say('alerts.nothing-known', { host: 'host8', total: 1 }), now);
    await look();
    await tellMessage(deps, say('alerts.nothing-known', { host: 'host8', total: 2 }), now);
    await look();
    assert.equal((await notifications()).length, 4, 'new words for what is known wait');
  });

  it('notes as told what somebody was told, and nothing else', async () => {
    await rule();
    await rule({ ...cpuRule, severity: 'info' });
    await hostsAre('unreachable', 1);
    await measure((index) => (index === 1 ? 99 : 5));
    await look();
    assert.deepEqual((await groupsTold(0)).map(({ condition }) => condition), ['host.unreachable']);
    const events = await Promise.all((await incidents()).map(async ({ id, condition, toldAt }) => `${condition}: ${toldAt === null ? 'not told' : 'told'} (${(await selectIncidentEvents(db, id)).map(({ kind }) => kind).sort().join()})`));
    assert.deepEqual(events.sort(), ['host.unreachable: told (opened,told)', 'instance.cpu: not told (opened)']);
    await look();
    assert.equal((await notifications()).length, 1);
  });

  it('leaves what finds no room in a notification to the next one', async () => {
    for (let i = 0; i < 60; i++) await db.transaction((tx) => recordMessage(tx, say('alerts.nothing-known', { host: `host${i}${'漢'.repeat(200)}` }), now));
    for (let i = 0; i < 20 && (await look()).told; i++);
    const sent = await notifications();
    assert.ok(sent.length > 1 && sent.length < 20, String(sent.length));
    const named = (await Promise.all(sent.map((_, index) => groupsTold(index)))).flat().flatMap((group) => group.incidents.map(({ id }) => id));
    assert.deepEqual(named.toSorted(), (await incidents()).map(({ id }) => id).sort(), 'each of them once');
    assert.ok((await incidents()).every(({ toldAt }) => toldAt !== null));
  });

  it('waits for the end of quiet hours, and is left out when it is over by then', async () => {
    await updateSettings(db, 'alerts', { ...defaultSettings.alerts, timeZone: 'Asia/Taipei', calmMinutes: 1 }, null, now);
    await rule({ quiet: { from: 22 * 60, until: 7 * 60 } });
    // 23:00 in Taipei
    now = Date.UTC(2027, 5, 1, 15, 0);
    await hostsAre('unreachable', 2);
    await look();
    await db.execute("UPDATE hosts SET state = 'up' WHERE id = ?", [cloud.hostIds[1] ?? '']);
    await look();
    now += 120_000;
    await look();
    assert.deepEqual([(await incidents()).length, (await notifications()).length], [2, 0]);
    now = Date.UTC(2027, 5, 1, 23, 0);
    await look();
    const sent = await notifications();
    assert.equal(sent.length, 1);
    assert.equal((JSON.parse(sent[0]?.content.toString('utf8') ?? '') as { groups: { total: number }[] }).groups[0]?.total, 1);
  });

  it('says nothing of what is below everybody’s severity', async () => {
    await rule({ severity: 'info' });
    await hostsAre('unreachable', 1);
    await look();
    assert.deepEqual([(await incidents()).length, (await notifications()).length], [1, 0]);
    await hostsAre('up', 1);
    await look();
    now += 3_600_000;
    await look();
    assert.equal((await notifications()).length, 0);
  });
});

describe('other conditions', () => {
  it('pools, lost machines, late and failing jobs, operations that do not end', async () => {
    await rule({ id: '44444444-4444-4444-8444-444444444441', condition: 'pool.used', limit: 90, clear: 85 });
    await rule({ id: '44444444-4444-4444-8444-444444444442', condition: 'instance.lost' });
    await rule({ id: '44444444-4444-4444-8444-444444444443', condition: 'job.late' });
    await rule({ id: '44444444-4444-4444-8444-444444444444', condition: 'operation.stuck', holdSeconds: 600 });
    await insertPoolSamples(db, [{ subjectId: cloud.poolSubjectId, at: now + 20_000, capacityBytes: 1000, availableBytes: 50 }]);
    await db.execute("UPDATE instances SET state = 'lost' WHERE id = ?", [cloud.instances[4]?.id ?? '']);
    await db.execute('INSERT INTO jobs (name, lease_until, started_at, ended_at) VALUES (?, 0, ?, ?)', ['collect-metrics', now - 300_000, now - 300_000]);
    await db.execute("INSERT INTO operations (id, kind, state, input, context, created_at) VALUES (?, 'host-drain', 'running', '{}', '{}', ?)", ['55555555-5555-4555-8555-555555555555', now - 700_000]);
    await look();
    assert.deepEqual((await incidents()).map(({ condition, subject }) => `${condition} ${subject.name}`).sort(), ['instance.lost vm4', 'job.late collect-metrics', 'operation.stuck host-drain', 'pool.used default']);
    await db.execute('DELETE FROM jobs');
    await db.execute('DELETE FROM operations');
  });

  it('a job is late by the time that portals ran, not by that they were off', async () => {
    await rule({ id: '44444444-4444-4444-8444-444444444443', condition: 'job.late' });
    await db.execute('INSERT INTO jobs (name, lease_until, started_at, ended_at) VALUES (?, 0, ?, ?)', ['collect-metrics', now - 3_600_000, now - 3_600_000]);
    const started = async (agoMs: number): Promise<void> => {
      await db.execute('DELETE FROM portals');
      await db.execute("INSERT INTO portals (id, name, url, version, lease_owner, started_at, seen_at) VALUES ('66666666-6666-4666-8666-666666666666', 'p', 'http://p', '1', 'x', ?, ?)", [now - agoMs, now]);
    };
    await started(5000);
    await look();
    assert.deepEqual(await incidents(), []);
    await started(1_800_000);
    await look();
    assert.deepEqual((await incidents()).map(({ condition }) => condition), ['job.late']);
    await db.execute('DELETE FROM jobs');
    await db.execute('DELETE FROM portals');
  });

  it('are about the chosen ones alone; one taken off the list ends', async () => {
    const [, second, third] = cloud.hostIds;
    await rule({ scope: [second ?? '', third ?? ''] });
    await hostsAre('unreachable', 3);
    await look();
    assert.deepEqual((await incidents()).map(({ subject }) => subject.name).sort(), ['host1', 'host2']);
    const stored = await selectAlertRule(db, base.id);
    assert.equal(await updateAlertRule(db, { ...stored, scope: [second ?? ''] }, now), true);
    assert.equal(await updateAlertRule(db, { ...stored, scope: [] }, now), false, 'the second of two admins is refused');
    await look();
    assert.deepEqual((await incidents()).filter(({ state }) => state === 'open').map(({ subject }) => subject.name), ['host1']);
  });
});

describe('what the portal reports itself', () => {
  it('is an incident of its own, told at once, told again with new words, and over when nothing waits any more', async () => {
    const deps = { db, mailEnabled: true };
    await tellMessage(deps, say('recovery.alert.unfit', { host: 'host0', total: 3 }), now);
    await tellMessage(deps, say('recovery.alert.unfit', { host: 'host0', total: 5 }), now + 1);
    await tellMessage(deps, say('recovery.alert.disk-in-use', { host: 'host0' }), now + 2);
    const found = await incidents();
    assert.ok(found.every(({ ruleId, subject }) => ruleId === messageRuleId && subject.id === cloud.hostIds[0]));
    assert.deepEqual(found.map(({ sentence }) => String(sentence.params?.['total'])).sort(), ['5', 'undefined']);
    assert.equal((await notifications()).length, 3);
    await look();
    assert.deepEqual((await incidents()).map(({ state }) => state), ['resolved', 'resolved'], 'no recovery is open');
  });

  it('that was recorded by a portal that ended before it told it is told by the next look, once', async () => {
    await db.transaction((tx) => recordMessage(tx, say('alerts.nothing-known', { host: 'host0' }), now));
    assert.equal((await notifications()).length, 0);
    assert.equal((await look()).told, true);
    await tellMessage({ db, mailEnabled: true }, say('alerts.nothing-known', { host: 'host0' }), now);
    await look();
    assert.equal((await notifications()).length, 1);
    const [incident] = await incidents();
    assert.deepEqual((await selectIncidentEvents(db, incident?.id ?? '')).map(({ kind }) => kind), ['opened', 'told']);
  });

  it('lasts as long as what it says, and a day where nothing tells how long that is', async () => {
    const [id, hostId] = ['77777777-7777-4777-8777-777777777777', cloud.hostIds[0] ?? ''];
    await claimHostRecovery(db, { id, hostId, hostName: 'host0', drill: false, userId: null, forced: false, confirmedBy: null, seenAt: null, noticedAt: now, report: emptyReport });
    const waitsFor = (sentence: Sentence | null) => updateRecovery(db, id, { state: 'waiting', waitsFor: sentence });
    const open = async (): Promise<string[]> => {
      await look();
      return (await incidents()).filter(({ state }) => state === 'open').map(({ sentence }) => sentence.key).sort();
    };
    await waitsFor(say('recovery.waits.proof', { host: 'host0' }));
    for (const key of ['recovery.waits.proof', 'alerts.nothing-known']) await tellMessage({ db, mailEnabled: true }, say(key, { host: 'host0' }), now);
    now += 23 * 3_600_000;
    assert.deepEqual(await open(), ['alerts.nothing-known', 'recovery.waits.proof']);
    now += 3_600_000;
    assert.deepEqual(await open(), ['recovery.waits.proof'], 'it waits still');
    await waitsFor(say('recovery.waits.disks', { total: 1 }));
    await tellMessage({ db, mailEnabled: true }, say('recovery.alert.disk-in-use', { host: 'host0' }), now);
    assert.deepEqual(await open(), ['recovery.alert.disk-in-use', 'recovery.waits.proof']);
    await waitsFor(say('recovery.waits.room', { total: 1 }));
    assert.deepEqual(await open(), ['recovery.waits.proof'], 'no disk is in use any more');
    await waitsFor(null);
    assert.deepEqual(await open(), []);
  });
});
