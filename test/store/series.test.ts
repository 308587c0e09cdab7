// Reading measured values back as series: tiers, gaps, devices, many subjects, damaged rows; on a real database.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { encodeChunk } from '../../src/model/chunk.ts';
import { metrics } from '../../src/model/metric.ts';
import { createSteps, dayMs, hourMs, minuteTier, quarterTier, type Tier } from '../../src/model/roll-up.ts';
import { insertDeviceSamples } from '../../src/store/device-samples.ts';
import { deviceMetricId } from '../../src/store/sample-tiers.ts';
import { insertHostSamples, insertInstanceSamples, insertPoolSamples } from '../../src/store/samples.ts';
import { selectDeviceSeries, selectSeries, selectSeriesOf } from '../../src/store/series.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

const now = 20_000 * dayMs + 10 * hourMs + 30 * 60_000;
let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());
afterEach(async () => {
  for (const table of ['sample_hours', 'sample_days', 'host_samples', 'instance_samples', 'device_samples', 'pool_samples']) await database.db.execute(`DELETE FROM ${table}`);
});

async function insertChunk(table: 'sample_hours' | 'sample_days', subjectId: number, metricId: number, chunk: number, value: number): Promise<void> {
  const tier: Tier = table === 'sample_hours' ? minuteTier : quarterTier;
  const steps = createSteps(0, 1, tier.points);
  for (let index = 0; index < tier.points; index++) steps.add(index, value, value / 2, value * 2);
  await database.db.execute(`INSERT INTO ${table} (subject_id, metric, chunk, data) VALUES (?, ?, ?, ?)`, [subjectId, metricId, chunk, encodeChunk(steps.points()) ?? null]);
}

test('the last hour has every sample, and gaps where there was none', async () => {
  const from = now - hourMs;
  const times = Array.from({ length: 360 }, (_, index) => from + index * 10_000).filter((at) => at < from + 600_000 || at >= from + 1_200_000);
  await insertHostSamples(database.db, times.map((at) => ({ subjectId: 1, at: at + 300, up: 1, cpuPercent: 10 })));
  await insertHostSamples(database.db, [{ subjectId: 1, at: from + 900_000, up: 0 }]);
  const series = await selectSeries(database.db, { subjectId: 1, metric: 'host.cpu', from, to: now, points: 400, now });
  assert.equal(series.stepMs, 10_000);
  assert.deepEqual(series.at.map((at) => at - from), Array.from({ length: 360 }, (_, index) => index * 10_000));
  assert.deepEqual(series.avg.flatMap((value, index) => (value === null ? [index] : [])), Array.from({ length: 60 }, (_, index) => 60 + index));
  const up = await selectSeries(database.db, { subjectId: 1, metric: 'host.up', from, to: now, points: 400, now });
  assert.equal(up.avg[90], 0);
});

test('what the turn of the ring before left behind is no value', async () => {
  await insertHostSamples(database.db, [{ subjectId: 1, at: now - 2 * hourMs - 600_000, up: 1, cpuPercent: 99 }]);
  const series = await selectSeries(database.db, { subjectId: 1, metric: 'host.cpu', from: now - hourMs, to: now, points: 400, now });
  assert.ok(series.avg.every((value) => value === null));
});

test('of samples that come more seldom the steps are as wide', async () => {
  await insertInstanceSamples(database.db, Array.from({ length: 120 }, (_, index) => ({ subjectId: 1, at: now - hourMs + index * 30_000, cpuPercent: index })));
  const series = await selectSeries(database.db, { subjectId: 1, metric: 'instance.cpu', from: now - hourMs, to: now, points: 400, now });
  assert.equal(series.stepMs, 30_000);
  assert.ok(series.avg.every((value) => value !== null));
});

test('pools are told in MiB used', async () => {
  await insertPoolSamples(database.db, [{ subjectId: 1, at: now - 60_000, capacityBytes: 3 * 2 ** 30, availableBytes: 2 ** 30 }]);
  const series = await selectSeries(database.db, { subjectId: 1, metric: 'pool.used', from: now - 120_000, to: now, points: 400, now });
  assert.deepEqual(series.avg.filter((value) => value !== null), [2048]);
});

test('many subjects are on the same steps, and one without values is there too', async () => {
  const ids = Array.from({ length: 40 }, (_, index) => index + 1);
  for (const id of ids.slice(1)) await insertChunk('sample_hours', id, metrics['host.cpu'].id, Math.floor(now / hourMs) - 5, id);
  const all = await selectSeriesOf(database.db, { subjectIds: ids, metric: 'host.cpu', from: now - dayMs, to: now, points: 100, now });
  assert.equal(all.size, 40);
  assert.ok(all.get(1)?.avg.every((value) => value === null));
  for (const id of ids.slice(1)) {
    const values = (all.get(id)?.avg ?? []).filter((value) => value !== null);
    assert.ok(values.length >= 3 && values.every((value) => Math.abs(value - id) < 0.01 * id), `${id}: ${values.join(' ')}`);
    assert.deepEqual(all.get(id)?.at, all.get(1)?.at);
  }
  assert.equal((await selectSeriesOf(database.db, { subjectIds: [], metric: 'host.cpu', from: now - dayMs, to: now, points: 100, now })).size, 0);
});

test('a part of the past is read from the tier that holds its beginning', async () => {
  await insertChunk('sample_days', 1, metrics['host.cpu'].id, 19_900, 40);
  await insertChunk('sample_hours', 1, metrics['host.cpu'].id, 19_999 * 24 + 3, 20);
  const long = await selectSeries(database.db, { subjectId: 1, metric: 'host.cpu', from: 19_900 * dayMs, to: 19_901 * dayMs, points: 400, now });
  assert.deepEqual([long.stepMs, long.avg.length, long.avg[0], long.min[0], long.max[0]], [900_000, 96, 40, 20, 80]);
  const short = await selectSeries(database.db, { subjectId: 1, metric: 'host.cpu', from: 19_999 * dayMs + 3 * hourMs, to: 19_999 * dayMs + 4 * hourMs, points: 400, now });
  assert.deepEqual([short.stepMs, short.avg.length, short.avg[59]], [60_000, 60, 20]);
});

test('a damaged row is a gap and is told once', async () => {
  await insertChunk('sample_hours', 1, metrics['host.cpu'].id, Math.floor(now / hourMs) - 4, 7);
  await database.db.execute('INSERT INTO sample_hours (subject_id, metric, chunk, data) VALUES (1, ?, ?, ?)', [metrics['host.cpu'].id, Math.floor(now / hourMs) - 5, Buffer.from([1, 2, 3, 4])]);
  const warnings: string[] = [];
  const listen = (warning: Error): void => { warnings.push(warning.message); };
  process.on('warning', listen);
  const read = () => selectSeries(database.db, { subjectId: 1, metric: 'host.cpu', from: now - 12 * hourMs, to: now, points: 800, now });
  const series = await read();
  await read();
  process.off('warning', listen);
  assert.equal(series.avg.filter((value) => value !== null).length, 60);
  assert.deepEqual(warnings.filter((text) => text.includes('sample_hours')).length, 1, warnings.join());
});

test('a disk has its own history, and before it had others beside it the total is it', async () => {
  const hour = Math.floor(now / hourMs);
  const total = metrics['instance.disk-read'].id;
  await insertChunk('sample_hours', 1, total, hour - 6, 100);
  for (const [id, value] of [[total, 600], [deviceMetricId(0, 'read_bps'), 200], [deviceMetricId(1, 'read_bps'), 400]] as const) await insertChunk('sample_hours', 1, id, hour - 4, value);
  await insertDeviceSamples(database.db, [0, 1].map((device) => ({ subjectId: 1, device, at: now - 60_000, readBytesPerSecond: 5 + device })));
  const valuesOf = async (device: number): Promise<number[]> => {
    const { avg } = await selectDeviceSeries(database.db, { subjectId: 1, device, column: 'read_bps', from: now - 12 * hourMs, to: now, points: 12, now });
    return avg.filter((value) => value !== null).map(Math.round);
  };
  const first = await valuesOf(0);
  assert.ok(first.includes(100) && first.includes(200) && first.includes(5) && !first.includes(600), first.join());
  const second = await valuesOf(1);
  assert.ok(second.includes(400) && second.includes(6) && !second.includes(100), second.join());
});
