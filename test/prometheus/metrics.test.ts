// /metrics over HTTP on a real database, and what is made for it: the dashboard and the alert rules.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { clusterOwnerId } from '../../src/model/metric.ts';
import { insertContactMessage } from '../../src/store/contact-messages.ts';
import { upsertHostCheck } from '../../src/store/host-checks.ts';
import { insertHost, selectHosts, updateHostContact, updateHostFacts } from '../../src/store/hosts.ts';
import { upsertPortal, portalIdOf } from '../../src/store/portals.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { insertHostSamples, insertInstanceSamples } from '../../src/store/samples.ts';
import { updatePoolSample, upsertPool } from '../../src/store/storage-pools.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { makeInstance } from '../helpers/instances.ts';
import { startTestPortal, type TestPortal } from '../helpers/portal.ts';

const token = 'only-for-tests:0123456789-0123456789-abc';
const docs = fileURLToPath(new URL('../../docs/prometheus/', import.meta.url));
const gib = 2 ** 30;
let portal: TestPortal;
let text = '';
let instanceId = '';

const ask = (path = '/metrics', from = portal, authorization: string | null = `Bearer ${token}`): Promise<Response> =>
  fetch(new URL(path, from.url), authorization === null ? {} : { headers: { authorization } });

before(async () => {
  portal = await startTestPortal({ runner: false, env: { METRICS_TOKEN: token } });
  const { db } = portal.deps;
  const now = Date.now();
  await makeFirstAdmin(db, 'root');
  const owner = await makeUser(db, 'anna');
  for (const [name, state] of [['kvm1', 'up'], ['kvm2', 'unreachable']] as const) {
    const id = crypto.randomUUID();
    // nobody listens there: whatever waited for it would wait long
    await insertHost(db, { id, name, uri: 'qemu+tcp://192.0.2.77/system', consoleAddress: '192.0.2.77', network: 'default', virtTypeWish: 'auto', createdAt: 0 });
    await updateHostFacts(db, id, { virtType: 'kvm', arch: 'x86_64', cpuModel: null, libvirtVersion: '9.0.0', qemuVersion: '7.2.0', hostUuid: null, cpus: 8, memoryMib: 16_384 });
    await updateHostContact(db, id, { state, at: now, ...(state === 'up' ? {} : { reason: 'no answer' }) } as Parameters<typeof updateHostContact>[2]);
  }
  const [kvm1] = await selectHosts(db);
  assert.ok(kvm1);
  await upsertHostCheck(db, kvm1.id, { at: now, networks: [], clock: null, certificates: [{ of: 'portal', notAfter: 1_900_000_000_000 }], warnings: [] });
  const pool = await upsertPool(db, { hostId: kvm1.id, name: 'shared', shared: true, kind: 'netfs', path: '/p', capacityBytes: 100 * gib, availableBytes: 40 * gib }, now);
  await updatePoolSample(db, pool, 100 * gib, 40 * gib, now);
  const sample = { at: now, up: 1 as const, cpuPercent: 25, cpuUserPercent: 20, cpuSystemPercent: 5, memoryUsedMib: 4096, memoryTotalMib: 16_384, memoryCachedMib: 1024 };
  await insertHostSamples(db, [{ subjectId: kvm1.subjectId, ...sample }, { subjectId: await insertSampleSubject(db, clusterOwnerId, now), ...sample }]);
  const instance = await makeInstance(db, owner, { name: 'web', hostId: kvm1.id, poolId: pool });
  instanceId = instance.id;
  await insertInstanceSamples(db, [{ subjectId: instance.subjectId, at: now, cpuPercent: 12.5, memoryUsedMib: 512, diskReadBytesPerSecond: 1000 }]);
  await makeInstance(db, owner, { name: 'db', hostId: kvm1.id, poolId: pool }, { state: 'stopped' });
  // what somebody calls a portal is a label's value
  await upsertPortal(db, { id: portalIdOf('p'), name: 'a "p"\\ \n', url: 'http://x', version: '1', leaseOwner: crypto.randomUUID() });
  await insertContactMessage(db, { id: crypto.randomUUID(), at: now, userId: null, name: 'x', email: 'x@example.org', subject: 's', body: 'b' });
  await portal.client().get('/about');
  await portal.client().get('/nothing-of-ours/1');
  const answer = await ask();
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  text = await answer.text();
});
after(() => portal.close());

function value(series: string): number | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

describe('who may read it', () => {
  it('is who shows the token, and nobody else', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer x', `Bearer ${token.slice(1)}`, `Basic ${btoa(`x:${token}`)}`, `bearer ${token.toUpperCase()}`]) {
      const answer = await ask('/metrics', portal, authorization === '' ? null : authorization);
      assert.equal(answer.status, 401, authorization);
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
      assert.doesNotMatch(await answer.text(), /cloud_/);
    }
    assert.equal((await ask(`/metrics?token=${encodeURIComponent(token)}`, portal, null)).status, 401);
    const admin = await loggedIn(portal, 'root');
    assert.equal((await admin.get('/metrics')).status, 401, 'a session is no token');
  });

  it('is nobody where no token is set', async () => {
    const closed = await startTestPortal({ runner: false, database: portal.database });
    try {
      for (const authorization of ['Bearer undefined', `Bearer ${token}`]) assert.equal((await ask('/metrics', closed, authorization)).status, 404);
    } finally {
      await closed.close();
    }
  });
});

describe('the figures', () => {
  it('are those of hosts, the cluster, pools and instances', () => {
    const expected: Record<string, number | undefined> = {
      'cloud_host_up{host="kvm1"}': 1, 'cloud_host_up{host="kvm2"}': 0, 'cloud_host_status{host="kvm2",status="unreachable"}': 1, 'cloud_host_cpus{host="kvm1"}': 8,
      'cloud_host_certificate_not_after_timestamp_seconds{host="kvm1",certificate="portal"}': 1_900_000_000,
      'cloud_host_cpu_usage_ratio{host="kvm1"}': 0.25, 'cloud_host_cpu_usage_ratio{host="kvm2"}': undefined, 'cloud_host_cpu_mode_ratio{host="kvm1",mode="system"}': 0.05,
      'cloud_host_memory_used_bytes{host="kvm1"}': 4 * gib, cloud_cluster_cpu_usage_ratio: 0.25, cloud_gate_closed: 0,
      'cloud_instances{host="kvm1",state="running"}': 1, 'cloud_instances{host="kvm1",state="stopped"}': 1, 'cloud_users{state="active"}': 2,
      [`cloud_instance_cpu_usage_ratio{instance_id="${instanceId}"}`]: 0.125, [`cloud_instance_memory_used_bytes{instance_id="${instanceId}"}`]: gib / 2,
      [`cloud_instance_info{instance_id="${instanceId}",name="web",user="anna",host="kvm1",state="running"}`]: 1,
      'cloud_portal_info{portal="a \\"p\\"\\\\ \\n",version="1"}': 1, cloud_operations_oldest_seconds: 0, 'cloud_queue_length{queue="operations"}': 0,
    };
    for (const [series, figure] of Object.entries(expected)) assert.equal(value(series), figure, series);
    const pool = /^cloud_pool_used_bytes\{pool="shared",pool_id="[0-9a-f-]+",shared="yes"\} (\d+)$/m.exec(text)?.[1];
    assert.equal(Number(pool), 60 * gib);
  });

  it('are those of this process and of its requests, by the route and not by the path', () => {
    assert.equal(value('http_requests_total{method="GET",route="/about",status="2xx"}'), 1);
    assert.equal(value('http_requests_total{method="GET",route="none",status="4xx"}'), 1);
    assert.equal(value('http_request_duration_seconds_count'), 2);
    assert.equal(value('http_request_duration_seconds_bucket{le="+Inf"}'), 2);
    assert.ok((value('process_resident_memory_bytes') ?? 0) > 1e7);
    assert.doesNotMatch(text, /nothing-of-ours/);
  });

  it('can be had of this portal, of the cloud, and without the instances', async () => {
    const own = await (await ask('/metrics?only=portal')).text();
    assert.match(own, /^process_cpu_seconds_total/m);
    assert.doesNotMatch(own, /^cloud_/m);
    const cloud = await (await ask('/metrics?only=cloud')).text();
    assert.match(cloud, /^cloud_host_up/m);
    assert.doesNotMatch(cloud, /^(?:process|http)_/m);
    const without = await startTestPortal({ runner: false, database: portal.database, env: { METRICS_TOKEN: token, METRICS_INSTANCES: 'no' } });
    try {
      const few = await (await ask('/metrics', without)).text();
      assert.doesNotMatch(few, /^cloud_instance_/m);
      assert.match(few, /^cloud_instances\{/m);
    } finally {
      await without.close();
    }
  });

  it('are the same for several who ask at once', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, async () => (await ask('/metrics?only=cloud')).text()));
    for (const answer of answers) assert.match(answer, new RegExp(`cloud_instance_vcpus\\{instance_id="${instanceId}"\\} 2`));
  });

  it('have each family once, and each series once', () => {
    const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]);
    assert.equal(new Set(types).size, types.length);
    const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.slice(0, line.lastIndexOf(' ')));
    assert.deepEqual(series.filter((each, i) => series.indexOf(each) !== i), []);
  });
});

/** Names in expressions of Prometheus that are figures of ours. */
const namesIn = (expression: string): string[] => [...expression.matchAll(/\b(?:cloud|http|process|nodejs)_\w+/g)].map(([name]) => name.replace(/_(?:bucket|sum|count)$/, ''));

describe('what is made for it', () => {
  const isKnown = (name: string): boolean => text.includes(`# TYPE ${name} `);

  it('a dashboard of figures that there are', () => {
    interface Panel { title: string; targets?: { expr: string }[] }
    const dashboard = JSON.parse(readFileSync(`${docs}grafana-dashboard.json`, 'utf8')) as { panels: Panel[]; templating: { list: { query: unknown }[] } };
    const expressions = [...dashboard.panels.flatMap((panel) => (panel.targets ?? []).map(({ expr }) => expr)), JSON.stringify(dashboard.templating.list)];
    const names = new Set(expressions.flatMap(namesIn));
    assert.ok(names.size > 25, `${names.size}`);
    assert.deepEqual([...names].filter((name) => !isKnown(name)), []);
  });

  it('alert rules of figures that there are', () => {
    const expressions = [...readFileSync(`${docs}alert-rules.yml`, 'utf8').matchAll(/^ +expr: (.*)$/gm)].map((match) => match[1] ?? '');
    assert.ok(expressions.length > 10);
    assert.deepEqual([...new Set(expressions.flatMap(namesIn))].filter((name) => !isKnown(name)), []);
  });
});

function promtool(): string | undefined {
  return (process.env['PATH'] ?? '').split(':').map((folder) => `${folder}/promtool`).find((path) => {
    try {
      accessSync(path);
      return true;
    } catch {
      return false;
    }
  });
}
const program = promtool();

describe('Prometheus itself', { skip: program === undefined ? 'promtool is not there (Debian’s package prometheus has it)' : false }, () => {
  it('reads the output and has nothing to say against its names', async () => {
    const check = spawn(program ?? '', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [check.stdout, check.stderr]) stream.on('data', (data: Buffer) => (said += data.toString()));
    check.stdin.end(text);
    const [code] = (await once(check, 'close')) as [number];
    assert.deepEqual([code, said], [0, '']);
  });

  it('reads the alert rules, and they say what they should', async () => {
    const run = promisify(execFile);
    assert.match((await run(program ?? '', ['check', 'rules', `${docs}alert-rules.yml`])).stdout, /SUCCESS: 15 rules found/);
    assert.match((await run(program ?? '', ['test', 'rules', fileURLToPath(new URL('rules-test.yml', import.meta.url))])).stdout, /SUCCESS/);
  });
});
