// The longer tiers on a real database, on a clock that the test moves: what is made of the rings, when, and that it stays the
// same and within its bounds whatever happens to the job.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { rollUpSamples } from '../../src/jobs/roll-up-samples.ts';
import { createLog } from '../../src/log.ts';
import { metrics } from '../../src/model/metric.ts';
import { dayMs, hourMs } from '../../src/model/roll-up.ts';
import { decodeChunk } from '../../src/model/chunk.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { insertDeviceSamples } from '../../src/store/device-samples.ts';
import { deleteSampleSubjects, insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { deviceMetricId } from '../../src/store/sample-tiers.ts';
import { deleteSamples, insertHostSamples, insertInstanceSamples, insertPoolSamples } from '../../src/store/samples.ts';
import { selectSeries } from '../../src/store/series.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

/** midnight UTC */
const start = 20_000 * dayMs;
const startHour = start / hourMs;
const minute = 60_000;
const log = createLog('silent');
let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());
afterEach(async () => {
  for (const table of ['sample_subjects', 'sample_hours', 'sample_days', 'host_samples', 'instance_samples', 'device_samples', 'pool_samples']) await database.db.execute(`DELETE FROM ${table}`);
  // set, not deleted: what was read a moment ago would still be in force
  await updateSettings(database.db, 'monitoring', defaultSettings.monitoring, null, Date.now());
});

async function rollUp(now: number, signal: AbortSignal = new AbortController().signal): Promise<void> {
  await rollUpSamples({ db: database.db, clock: { now: () => now }, log }, signal);
}

/** A load that repeats itself and shows where a minute or an hour went wrong. */
const loadAt = (at: number): number => 50 + 40 * Math.sin(at / 700_000);

async function measure(subjectId: number, from: number, to: number, everyMs = 10_000): Promise<void> {
  const times = Array.from({ length: Math.round((to - from) / everyMs) }, (_, index) => from + index * everyMs);
  await insertInstanceSamples(database.db, times.map((at) => ({ subjectId, at, cpuPercent: loadAt(at), memoryUsedMib: 512 })));
}

interface Stored { readonly subject_id: number; readonly metric: number; readonly chunk: number; readonly data: Buffer }
const stored = (table: string): Promise<Stored[]> => database.db.query<Stored>(`SELECT subject_id, metric, chunk, data FROM ${table} ORDER BY subject_id, metric, chunk`);
const newSubject = (at = start): Promise<number> => insertSampleSubject(database.db, randomUUID(), at);

test('an hour is kept as 60 minutes of mean, least and most, once its time is over and its subject\'s minute has come', async () => {
  const id = await newSubject();
  await measure(id, start, start + hourMs);
  await rollUp(start + hourMs + minute);
  assert.deepEqual(await stored('sample_hours'), [], 'the last samples may still be on their way');
  await rollUp(start + hourMs + 50 * minute);
  const rows = await stored('sample_hours');
  assert.deepEqual(rows.map((row) => [row.subject_id, row.metric, row.chunk]), [[id, metrics['instance.cpu'].id, startHour], [id, metrics['instance.memory-used'].id, startHour]]);
  const cpu = decodeChunk(rows[0]?.data ?? Buffer.alloc(0), 60);
  for (let index = 0; index < 60; index++) {
    const samples = Array.from({ length: 6 }, (_, n) => loadAt(start + index * minute + n * 10_000));
    const close = (value: number | undefined, wanted: number): void => assert.ok(Math.abs((value ?? NaN) - wanted) < 0.005 * wanted, `minute ${index}: ${value} for ${wanted}`);
    close(cpu?.avg[index], samples.reduce((sum, value) => sum + value, 0) / 6);
    close(cpu?.min[index], Math.min(...samples));
    close(cpu?.max[index], Math.max(...samples));
  }
});

test('a run that is repeated, or that two portals do at once, changes nothing', async () => {
  const ids = await Promise.all(Array.from({ length: 20 }, () => newSubject()));
  for (const id of ids) await measure(id, start, start + hourMs, 60_000);
  await Promise.all([rollUp(start + hourMs + 50 * minute), rollUp(start + hourMs + 50 * minute), rollUp(start + hourMs + 50 * minute)]);
  const once = await stored('sample_hours');
  assert.equal(once.length, 40);
  // the ring goes on over the hour that is done
  await measure(ids[0] ?? 0, start + 2 * hourMs, start + 2 * hourMs + 30 * minute);
  await rollUp(start + hourMs + 51 * minute);
  assert.deepEqual(await stored('sample_hours'), once);
});

test('a run that is ended anywhere is made good by the next', async () => {
  const ids = await Promise.all(Array.from({ length: 20 }, () => newSubject()));
  for (const id of ids) await measure(id, start, start + hourMs, 60_000);
  const stopping = new AbortController();
  // ends the run after its first batch
  const db = { ...database.db, transaction: async <T>(work: Parameters<typeof database.db.transaction<T>>[0]) => { const result = await database.db.transaction(work); stopping.abort(); return result; } };
  await rollUpSamples({ db, clock: { now: () => start + hourMs + 50 * minute }, log }, stopping.signal);
  const part = await stored('sample_hours');
  assert.ok(part.length > 0 && part.length < 40);
  // and one that fails in the middle of its transaction leaves nothing of it
  const failing = { ...database.db, transaction: <T>(work: Parameters<typeof database.db.transaction<T>>[0]) => database.db.transaction<T>(async (tx) => { await work(tx); throw new Error('power failure'); }) };
  await assert.rejects(rollUpSamples({ db: failing, clock: { now: () => start + hourMs + 50 * minute }, log }, new AbortController().signal), /power failure/);
  assert.deepEqual(await stored('sample_hours'), part);
  await rollUp(start + hourMs + 50 * minute);
  assert.equal((await stored('sample_hours')).length, 40);
});

test('after a pause the hours are made that the rings still hold, and no older ones', async () => {
  const id = await newSubject();
  await measure(id, start, start + 4 * hourMs);
  // in the fourth hour's last minutes the ring begins with the third's
  await rollUp(start + 4 * hourMs + 50 * minute);
  const hours = (await stored('sample_hours')).filter((row) => row.metric === metrics['instance.cpu'].id);
  assert.deepEqual(hours.map((row) => row.chunk - startHour), [2, 3]);
});

test('a day is kept as 96 quarters, and hours past their time go; a damaged hour is a gap of its own', async () => {
  const id = await newSubject();
  for (let hour = 0; hour < 24; hour++) {
    await measure(id, start + hour * hourMs, start + (hour + 1) * hourMs, 60_000);
    await rollUp(start + (hour + 1) * hourMs + 50 * minute);
  }
  await database.db.execute('UPDATE sample_hours SET data = ? WHERE subject_id = ? AND metric = ? AND chunk = ?', [Buffer.from('ruined'), id, metrics['instance.cpu'].id, startHour + 5]);
  await rollUp(start + dayMs + 23 * hourMs);
  const [cpu, memory] = await stored('sample_days');
  assert.equal(cpu?.chunk, 20_000);
  const points = decodeChunk(cpu?.data ?? Buffer.alloc(0), 96);
  assert.deepEqual(Array.from(points?.avg ?? []).flatMap((value, index) => (Number.isNaN(value) ? [index] : [])), [20, 21, 22, 23]);
  assert.deepEqual(Array.from(decodeChunk(memory?.data ?? Buffer.alloc(0), 96)?.avg ?? []), Array.from({ length: 96 }, () => 512));
});

test('each device of several has a history; a single one is the total', async () => {
  const [several, single] = [await newSubject(), await newSubject()];
  await measure(several, start, start + hourMs, 60_000);
  const times = Array.from({ length: 60 }, (_, index) => start + index * minute);
  await insertDeviceSamples(database.db, times.flatMap((at) => [
    { subjectId: several, device: 0, at, readBytesPerSecond: 1000 }, { subjectId: several, device: 1, at, readBytesPerSecond: 5000 },
    { subjectId: several, device: 16, at, readBytesPerSecond: 70 }, { subjectId: single, device: 0, at, readBytesPerSecond: 9 },
  ]));
  await insertInstanceSamples(database.db, times.flatMap((at) => [{ subjectId: single, at, diskReadBytesPerSecond: 9 }, { subjectId: several, at, networkReceiveBytesPerSecond: 70 }]));
  const now = start + 3 * hourMs - 5 * minute;
  await rollUp(now - hourMs);
  await rollUp(now);
  const kept = await stored('sample_hours');
  assert.deepEqual(kept.filter((row) => row.metric >= 1000).map((row) => [row.subject_id, row.metric]), [[several, deviceMetricId(0, 'read_bps')], [several, deviceMetricId(1, 'read_bps')]]);
});

test('rows stop growing when every tier is full, whatever is measured; a deleted owner leaves nothing', { timeout: 300_000 }, async () => {
  await updateSettings(database.db, 'monitoring', { minuteDays: 1, quarterDays: 30 }, null, start);
  assert.deepEqual(defaultSettings.monitoring, { minuteDays: 2, quarterDays: 365 });
  const [host, instance, pool] = [await newSubject(), await newSubject(), await newSubject()];
  const counts: Record<string, number>[] = [];
  const days = 36;
  for (let hour = 0; hour < days * 24; hour++) {
    const from = start + hour * hourMs;
    // every slot in the last days, fewer before: only the number of samples differs, not that of the chunks
    const everyMs = hour >= (days - 2) * 24 ? 10_000 : 600_000;
    const times = Array.from({ length: hourMs / everyMs }, (_, index) => from + index * everyMs);
    await insertInstanceSamples(database.db, times.map((at) => ({ subjectId: instance, at, cpuPercent: loadAt(at), memoryUsedMib: 512 })));
    await insertHostSamples(database.db, times.map((at) => ({ subjectId: host, at, up: 1, cpuPercent: loadAt(at), memoryTotalMib: 65_536 })));
    await insertPoolSamples(database.db, times.filter((_, index) => index % 6 === 0).map((at) => ({ subjectId: pool, at, capacityBytes: 2 ** 40, availableBytes: 2 ** 39 })));
    await rollUp(from + hourMs + 55 * minute);
    if (hour % 24 === 22) counts.push(await countRows());
  }
  const full = counts.slice(-4);
  for (const each of full) {
    assert.equal(each['sample_days'], full[0]?.['sample_days'], JSON.stringify(counts));
    assert.equal(each['sample_hours'], full[0]?.['sample_hours'], JSON.stringify(counts));
  }
  assert.ok((full[0]?.['sample_days'] ?? 0) <= 7 * 31);
  assert.ok((full[0]?.['sample_hours'] ?? 0) <= 7 * 48);
  const last = counts.at(-1) ?? {};
  assert.deepEqual([last['instance_samples'], last['host_samples'], last['device_samples']], [720, 720, 0]);
  for (const id of [host, instance, pool]) {
    await deleteSamples(database.db, id);
    await deleteSampleSubjects(database.db, id);
  }
  assert.deepEqual(Object.values(await countRows()), [0, 0, 0, 0, 0, 0]);
});

async function countRows(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of ['host_samples', 'instance_samples', 'device_samples', 'pool_samples', 'sample_hours', 'sample_days']) {
    const [row] = await database.db.query<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`);
    counts[table] = row?.n ?? -1;
  }
  return counts;
}

test('nothing is written for a subject that is deleted while it is rolled up', async () => {
  const id = await newSubject();
  await measure(id, start, start + hourMs, 60_000);
  const db = { ...database.db, transaction: async <T>(work: Parameters<typeof database.db.transaction<T>>[0]) => {
    await deleteSamples(database.db, id);
    await deleteSampleSubjects(database.db, id);
    return database.db.transaction(work);
  } };
  await rollUpSamples({ db, clock: { now: () => start + hourMs + 50 * minute }, log }, new AbortController().signal);
  assert.deepEqual(await stored('sample_hours'), []);
});

test('a chart has every time from the finest tier that holds it, also what is not rolled up yet', async () => {
  const id = await newSubject();
  const now = start + 3 * dayMs + 30 * minute;
  for (let at = start; at < now; at += hourMs) {
    await measure(id, at, Math.min(now, at + hourMs), 60_000);
    await rollUp(Math.min(now, at + hourMs + 50 * minute));
  }
  const ranges = { hour: hourMs, twoHours: 2 * hourMs, day: dayMs, twoDays: 2 * dayMs, month: 30 * dayMs };
  for (const [name, lengthMs] of Object.entries(ranges)) {
    const series = await selectSeries(database.db, { subjectId: id, metric: 'instance.cpu', from: now - lengthMs, to: now, points: 400, now });
    assert.ok(series.at.length <= 400 && series.at.length === series.avg.length, name);
    series.at.forEach((at, index) => {
      const minutes = Array.from({ length: Math.round(series.stepMs / minute) }, (_, n) => at + n * minute).filter((time) => time >= start && time < now);
      const avg = series.avg[index] ?? null;
      if (minutes.length === 0) assert.equal(avg, null, `${name} ${index}`);
      else {
        const wanted = minutes.map(loadAt);
        // the edges of what was measured fall into quarters that are not full
        const mean = wanted.reduce((sum, value) => sum + value, 0) / wanted.length;
        assert.ok(avg !== null && Math.abs(avg - mean) < 0.01 * mean + 0.2, `${name} ${index} at ${at - start}: ${avg} for ${mean}`);
        assert.ok((series.min[index] ?? NaN) <= avg && avg <= (series.max[index] ?? NaN));
      }
    });
  }
});
