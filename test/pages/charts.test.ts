// Charts over HTTP without JavaScript: whose they are, what an address may ask for, the picture, the table, and the file.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { Instance } from '../../src/model/instance.ts';
import { clusterOwnerId } from '../../src/model/metric.ts';
import { upsertSampleDevices, insertDeviceSamples } from '../../src/store/device-samples.ts';
import { insertHost, selectHost } from '../../src/store/hosts.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { insertHostSamples, insertPoolSamples } from '../../src/store/samples.ts';
import { upsertSnapshot } from '../../src/store/snapshots.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { insertDays, insertRecent } from '../helpers/history.ts';
import { makeInstance } from '../helpers/instances.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

const now = Date.UTC(2026, 5, 15, 12, 0, 5);
const hour = 3_600_000;
const day = 24 * hour;
let portal: TestPortal;
let instance: Instance;
let clients: { owner: Client; other: Client; admin: Client };
const hostIds = [randomUUID(), randomUUID()];

before(async () => {
  portal = await startTestPortal({ runner: false, clock: { now: () => now } });
  const { db } = portal.deps;
  await makeFirstAdmin(db);
  const owner = await makeUser(db, 'owner');
  await makeUser(db, 'other');
  instance = await makeInstance(db, owner, { name: 'web', hostId: hostIds[0] ?? '', memoryMib: 1024 });
  await insertRecent(db, instance.subjectId, now, { minutes: 110, gap: [40, 20] });
  await insertDays(db, instance.subjectId, 'instance.cpu', now, { from: 300, to: 3, mean: 20 });
  const cluster = await insertSampleSubject(db, clusterOwnerId, now);
  for (const [index, id] of hostIds.entries()) {
    await insertHost(db, { id, name: `=host${index + 1}`.slice(index === 0 ? 0 : 1), uri: 'qemu+tcp://127.0.0.1:1/system', consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: now });
  }
  const hosts = await Promise.all(hostIds.map((id) => selectHost(db, id)));
  for (let back = 60; back > 0; back--) {
    const at = now - back * 60_000;
    await insertHostSamples(db, [...hosts.map(({ subjectId }, index) => ({ subjectId, at, up: 1 as const, cpuPercent: 30 * (index + 1), cpuUserPercent: 20, cpuSystemPercent: 5, cpuIowaitPercent: 5, memoryUsedMib: 4096, memoryTotalMib: 16_384, memoryCachedMib: 2048 })),
      { subjectId: cluster, at, cpuPercent: 45, memoryUsedMib: 8192, memoryTotalMib: 32_768 }]);
    await insertPoolSamples(db, [{ subjectId: cluster, at, capacityBytes: 100 * 1024 ** 3, availableBytes: 25 * 1024 ** 3 }]);
  }
  clients = { owner: await loggedIn(portal, 'owner'), other: await loggedIn(portal, 'other'), admin: await loggedIn(portal, 'admin') };
});
after(() => portal.close());

const chartsOf = (query = ''): string => `/instances/${instance.id}/charts${query}`;
const keysIn = (html: string): string[] => [...html.matchAll(/data-chart="([\w-]+)"/g)].map((match) => match[1] ?? '');
function chartIn(html: string, key: string): string {
  const start = html.indexOf(`data-chart="${key}"`);
  assert.ok(start >= 0, key);
  return html.slice(start, html.indexOf('</table>', start));
}

describe('charts of an instance', () => {
  it('are the owner’s and the admins’', async () => {
    for (const path of ['', '.csv', '?range=1y', '.csv?chart=cpu']) {
      assert.equal((await clients.owner.get(chartsOf(path))).status, 200, path);
      assert.equal((await clients.admin.get(chartsOf(path))).status, 200, path);
      assert.equal((await clients.other.get(chartsOf(path))).status, 404, path);
      assert.equal((await portal.client().get(chartsOf(path))).status, 303, path);
    }
  });

  it('show every group, with figures in words beside the picture, and what was not measured as nothing', async () => {
    const { text } = await clients.owner.get(chartsOf());
    assert.deepEqual(keysIn(text), ['cpu', 'memory', 'disk', 'network', 'disk-ops', 'packets', 'allocation', 'drops']);
    const cpu = chartIn(text, 'cpu');
    assert.match(cpu, /role="img" aria-label="CPU, % of its vCPUs" aria-describedby="legend-cpu"/);
    assert.match(cpu, /<td>\d+ %<\/td><td>50 %<\/td><td>(?:10|50) %<\/td>/);
    const lines = /class="chart-line series-1" d="([^"]+)"/.exec(cpu)?.[1] ?? '';
    assert.equal(lines.match(/M/g)?.length, 2, 'a line before the gap and one after it');
    assert.match(chartIn(text, 'drops'), /Nothing was measured in this time/);
    assert.match(text, /data-old-after="35000">\s*<span data-age="\d+">10 s ago/);
    assert.match(text, /data-old-after="135000">Memory and disk:\s*<span data-age="\d+">/, 'read every 60 s, drawn every 15 s');
    assert.doesNotMatch((await clients.owner.get(chartsOf('?from=2026-06-15T10:30&to=2026-06-15T11:00'))).text, /data-old-after/, 'what is over does not become old');
  });

  it('say since when anything was measured, and show what is alone as a dot', async () => {
    const { text } = await clients.owner.get(chartsOf('?from=2026-06-15T10:00&to=2026-06-15T11:00'));
    assert.match(text, /In this time, measured since <time datetime="2026-06-15T10:10:\d\d\.000Z" data-local>[^<]+<\/time>\./);
    assert.doesNotMatch((await clients.owner.get(chartsOf())).text, /measured since/);
    const young = await makeInstance(portal.deps.db, await makeUser(portal.deps.db, 'young'), { name: 'young' });
    await insertRecent(portal.deps.db, young.subjectId, now, { minutes: 3 });
    const year = (await clients.admin.get(`/instances/${young.id}/charts?range=1y`)).text;
    assert.match(year, /measured since <time datetime="2026-06-15T1[12]:/, 'not the begin of a step that is a day');
    assert.match(chartIn(year, 'cpu'), /<path class="chart-dot series-1" d="M/);
  });

  it('reach back a year, with a band from the lowest to the highest', async () => {
    const cpu = chartIn((await clients.owner.get(chartsOf('?range=1y'))).text, 'cpu');
    assert.match(cpu, /<path class="chart-band series-1" d="M/);
    assert.match(cpu, /data-step="90000000"|data-step="\d{8}"/);
    assert.match(cpu, /<text[^>]*>Jan 2026<\/text>/);
  });

  it('take any time in the address, and bound what is nonsense', async () => {
    const widths = async (query: string): Promise<[number, number]> => {
      const { status, text } = await clients.owner.get(chartsOf(query));
      assert.equal(status, 200, query);
      return [Number(/data-from="(\d+)"/.exec(text)?.[1]), Number(/data-to="(\d+)"/.exec(text)?.[1])];
    };
    assert.deepEqual(await widths('?from=2026-06-15T10:30&to=2026-06-15T11:00'), [Date.UTC(2026, 5, 15, 10, 30), Date.UTC(2026, 5, 15, 11)]);
    assert.deepEqual(await widths('?from=0001-01-01T00:00&to=9999-12-31T00:00'), [now - 1200 * day, now]);
    for (const query of ['?range=', '?range=99y', '?from=x&to=y', '?from=2026-06-15T10:30', '?range=1h&range=1d', '?range[]=1d', '?table=nothing', '?device=../x', `?from=${'9'.repeat(5000)}`]) {
      assert.deepEqual(await widths(query), [now - hour, now], query.slice(0, 40));
    }
  });

  it('say when a time cannot be shown as asked, and keep what was typed', async () => {
    const { text } = await clients.owner.get(chartsOf('?from=2027-06-15T10:00&to=2027-06-15T11:00'));
    assert.match(text, /id="range-note">That stretch of time cannot be shown as asked; shown is <time datetime="2026-06-15T11:00:05\.000Z"[^>]*>[^<]*<\/time>\s*– <time datetime="2026-06-15T12:00:05\.000Z"[^>]*>[^<]*<\/time>\./);
    assert.match(text, /name="from" value="2027-06-15T10:00"[^>]*aria-describedby="range-note"/);
    assert.match((await clients.owner.get(chartsOf('?from=x&to=y'))).text, /id="range-note"/);
    for (const query of ['', '?range=1d', '?from=2026-06-15T10:30&to=2026-06-15T11:00']) assert.doesNotMatch((await clients.owner.get(chartsOf(query))).text, /range-note/, query);
  });

  it('lead on without JavaScript: ranges, earlier, closer, wider, and a form', async () => {
    const { text } = await clients.owner.get(chartsOf('?from=2026-06-15T08:00&to=2026-06-15T10:00'));
    const links: Record<string, string> = Object.fromEntries([...text.matchAll(/data-step-to="(\w+)" href="([^"]+)"/g)].map((match) => [match[1] ?? '', (match[2] ?? '').replaceAll('&amp;', '&')]));
    const zone = (name: string): string => decodeURIComponent(links[name] ?? '').split('?')[1] ?? '';
    assert.equal(zone('earlier'), 'from=2026-06-15T06:00:00Z&to=2026-06-15T08:00:00Z');
    assert.equal(zone('later'), 'from=2026-06-15T10:00:00Z&to=2026-06-15T12:00:00Z');
    assert.equal(zone('closer'), 'from=2026-06-15T08:30:00Z&to=2026-06-15T09:30:00Z');
    assert.equal(zone('wider'), 'from=2026-06-15T07:00:00Z&to=2026-06-15T11:00:00Z');
    assert.match(text, /<form method="get" action="\/instances\/[^"]+\/charts"/);
    assert.match(text, /name="from" value="2026-06-15T08:00"/);
    for (const link of Object.values(links)) assert.equal((await clients.owner.get(link)).status, 200, link);
  });

  it('are a table too', async () => {
    const { text } = await clients.owner.get(chartsOf('?table=cpu&range=1h'));
    const tableIn = (html: string): string => html.slice(html.indexOf('chart-table'), html.indexOf('</table>', html.indexOf('chart-table')));
    const table = tableIn(text);
    assert.match(table, /<th scope="col" class="numeric">CPU<\/th>/);
    assert.match(table, /<time datetime="2026-06-15T11:0\d:\d\d\.000Z" data-local>/);
    assert.match(table, /<td class="numeric">\d+ %/);
    assert.match(table, /<td class="numeric">–<\/td>/, 'of the gap');
    const times = [...table.matchAll(/<time datetime="([^"]+)"/g)].map((match) => match[1] ?? '');
    assert.deepEqual(times.slice(0, 2), ['2026-06-15T12:00:00.000Z', '2026-06-15T11:59:00.000Z'], 'the newest first, by whole minutes');
    assert.ok(times.length <= 61);
    assert.match(text, /Newest first; each row is the mean of 60 s\./);
    const longer = tableIn((await clients.owner.get(chartsOf('?table=cpu&from=2026-06-15T10:00&to=2026-06-15T11:00'))).text);
    assert.match(longer.slice(longer.lastIndexOf('<tr>')), /datetime="2026-06-15T10:10:00\.000Z"[^<]*<\/time>\s*<\/th><td class="numeric">\d+ %/, 'none before the first measurement');
  });

  it('are a file too: UTC, plain figures, units in the head', async () => {
    const answer = await clients.owner.get(chartsOf('.csv?chart=disk&from=2026-06-15T11:50&to=2026-06-15T11:55'));
    assert.match(answer.headers.get('content-type') ?? '', /^text\/csv/);
    assert.equal(answer.headers.get('content-disposition'), 'attachment; filename="web_disk_20260615T115000Z_20260615T115500Z.csv"');
    const [head, first, ...rest] = answer.text.replace(/^\uFEFF/, '').trimEnd().split('\r\n');
    assert.equal(head, 'time (UTC),disk-read mean (bytes_per_second),disk-read lowest (bytes_per_second),disk-read highest (bytes_per_second),disk-write mean (bytes_per_second),disk-write lowest (bytes_per_second),disk-write highest (bytes_per_second)');
    assert.equal(first, '2026-06-15T11:50:00Z,2048,2048,2048,,,');
    assert.ok(rest.length >= 29 && rest.length <= 31, `${rest.length} steps of 10 s`);
    assert.equal((await clients.owner.get(chartsOf('.csv?chart=nothing'))).status, 404);
    const longer = (await clients.owner.get(chartsOf('.csv?chart=disk&from=2026-06-15T10:00&to=2026-06-15T11:00'))).text.split('\r\n');
    assert.match(longer[1] ?? '', /^2026-06-15T10:10:\d\dZ,2048,/, 'none before the first measurement');
    const year = (await clients.owner.get(chartsOf('.csv?chart=cpu&range=1y'))).text.split('\r\n');
    assert.ok(year.length <= 3003 && year.some((line) => line.endsWith(',20,10,40')));
  });

  it('show one disk of several', async () => {
    const { db } = portal.deps;
    await upsertSampleDevices(db, ['vda', 'vdb'].map((name, device) => ({ subjectId: instance.subjectId, device, name })), now);
    await insertDeviceSamples(db, [0, 1].flatMap((device) => [30, 20, 10].map((back) => ({ subjectId: instance.subjectId, device, at: now - back * 60_000, readBytesPerSecond: 1024 * 1024 * (device + 1) }))));
    const { text } = await clients.owner.get(chartsOf('?device=vdb'));
    assert.match(text, /Disk throughput \(vdb\)/);
    assert.match(chartIn(text, 'disk'), /2 MiB\/s/);
    assert.match(text, /charts\.csv\?device=vdb&amp;/);
    assert.match((await clients.owner.get(chartsOf('.csv?device=vdb&chart=disk'))).text, /,2097000,|,2097152,/);
  });

  it('stand on the instance’s page and as a line in the list', async () => {
    const { text } = await clients.owner.get(`/instances/${instance.id}`);
    assert.deepEqual(keysIn(text), ['cpu', 'memory', 'disk', 'network']);
    assert.match((await clients.owner.get('/instances')).text, /<svg class="spark"[^>]*><path class="chart-line series-1" d="M/);
  });
});

describe('charts of hosts and of the cluster', () => {
  it('are for admins; the cluster’s sums are for everybody', async () => {
    for (const path of [`/admin/hosts/${hostIds[0]}/charts`, `/admin/hosts/${hostIds[0]}/charts.csv`, '/admin/compare', '/admin/compare.csv', '/admin/machine']) {
      assert.equal((await clients.owner.get(path)).status, 403, path);
      assert.equal((await clients.admin.get(path)).status, 200, path);
    }
    assert.equal((await clients.admin.get(`/admin/hosts/${randomUUID()}/charts`)).status, 404);
    const { text } = await clients.owner.get('/resources/charts');
    assert.deepEqual(keysIn(text), ['cpu', 'memory', 'storage']);
    assert.match(chartIn(text, 'storage'), /75 GiB/);
    assert.doesNotMatch(text, /host1|host2/);
    assert.match((await clients.owner.get('/resources/charts.csv?chart=memory')).headers.get('content-disposition') ?? '', /filename="cluster_memory_/);
  });

  it('stack what the CPU is busy with, and say what libvirt does not tell', async () => {
    const { text } = await clients.admin.get(`/admin/hosts/${hostIds[0]}/charts`);
    const cpu = chartIn(text, 'cpu');
    assert.equal(cpu.match(/class="chart-area series-\d" d="M/g)?.length, 3);
    assert.deepEqual([...cpu.matchAll(/data-series="([^"]+)"/g)].map((match) => match[1]), ['user', 'system', 'waiting for disks', 'CPU busy']);
    assert.match(text, /libvirt tells neither a host’s swap/);
  });

  it('of several hosts stand in one chart', async () => {
    const query = `?metric=host.cpu&host=${hostIds[0]}&host=${hostIds[1]}`;
    const { text } = await clients.admin.get(`/admin/compare${query}`);
    assert.deepEqual([...chartIn(text, 'cpu').matchAll(/data-series="([^"]+)"/g)].map((match) => match[1]), ['=host1', 'host2']);
    assert.match(text, /href="\/admin\/compare\.csv\?metric=host\.cpu&amp;host=/);
    // a name that a table program would calculate stays a name
    const head = (await clients.admin.get(`/admin/compare.csv${query}`)).text.split('\r\n')[0] ?? '';
    assert.match(head, /,'=host1 mean \(percent\),/);
    assert.deepEqual([...chartIn((await clients.admin.get(`/admin/compare?host=${hostIds[0]}&add=host2`)).text, 'cpu').matchAll(/data-series="([^"]+)"/g)].length, 2, 'added by name');
    const many = await clients.admin.get(`/admin/compare?${Array.from({ length: 300 }, () => `host=${randomUUID()}`).join('&')}`);
    assert.equal(many.status, 200);
    const unknown = (await clients.admin.get(`/admin/compare?host=${hostIds[0]}&add=${encodeURIComponent('no<host')}`)).text;
    assert.match(unknown, /name="add"[^>]*value="no&lt;host" aria-invalid="true" aria-describedby="unknown-host"/);
    assert.match(unknown, /id="unknown-host">There is no host no&lt;host\./);
    assert.doesNotMatch(text, /unknown-host/);
    assert.match((await clients.admin.get('/admin/compare?metric=instance.cpu')).text, /<option value="host.cpu" selected>/);
  });

  it('the busiest are shown to admins, by the collector’s list', async () => {
    const { db } = portal.deps;
    const entry = (id: string, value: number) => ({ id, value, at: now });
    await upsertSnapshot(db, 'top-instances', { cpu: [entry(instance.id, 88), entry(randomUUID(), 70)], memory: [], disk: [], network: [] }, now - 5000);
    await upsertSnapshot(db, 'top-hosts', { cpu: hostIds.map((id) => entry(id, 60)), memory: [], disk: [], network: [] }, now - 5000);
    for (const path of ['/admin', '/resources']) {
      const { text } = await clients.admin.get(path);
      const list = text.slice(text.indexOf('id="top-instances"'), text.indexOf('id="top-hosts"'));
      assert.match(list, /href="\/instances\/[^"]+">web<\/a> <span class="small text-secondary">owner<\/span><\/span><span class="numeric">88 %/);
      assert.equal(list.match(/<li/g)?.length, 1, 'what is gone has no name');
      assert.match(text.slice(text.indexOf('id="top-hosts"')), /host2<\/a>/);
    }
    assert.doesNotMatch((await clients.owner.get('/resources')).text, /id="top-/);
  });
});

describe('pages of many', () => {
  it('show hosts by the dozen on the Resource Monitor and by fifty in the list, and find them by name', async () => {
    const { db } = portal.deps;
    await Promise.all(Array.from({ length: 60 }, (_, n) => insertHost(db, { id: randomUUID(), name: `rack-${String(n).padStart(2, '0')}`, uri: `qemu+tcp://127.0.0.1:${n + 2}/system`, consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: now })));
    const rows = (text: string): number => new Set([...text.matchAll(/data-live="host:([^"]+)"/g)].map((match) => match[1])).size;
    assert.equal(rows((await clients.owner.get('/resources')).text), 12);
    assert.equal(rows((await clients.owner.get('/resources?hosts=6')).text), 2);
    assert.equal(rows((await clients.owner.get('/resources?hosts=-3')).text), 12);
    assert.equal(rows((await clients.admin.get('/admin/hosts')).text), 50);
    assert.equal(rows((await clients.admin.get('/admin/hosts?search=rack-1')).text), 10);
    assert.equal(rows((await clients.admin.get('/admin/hosts?search=%25')).text), 0);
    assert.equal((await clients.admin.get('/instances?all=1&search=%E7%B6%B2')).status, 200);
  });
});
