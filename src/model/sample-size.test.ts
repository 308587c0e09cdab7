import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fullRows, metricsOf, rowBytes, sampleTables, sizesOf, type SampleTable, type TableSize } from './sample-size.ts';

const keep = { minuteDays: 2, quarterDays: 365 };
const every = <T>(value: T): Record<SampleTable, T> => Object.fromEntries(sampleTables.map((table) => [table, value])) as Record<SampleTable, T>;
const nothing = every<TableSize>({ rows: 0, bytes: 0 });

describe('what samples cost', () => {
  it('is bounded by the tiers, not by time', () => {
    assert.deepEqual(fullRows('instance', { metrics: 13, devices: 2 }, keep), { host_samples: 0, instance_samples: 720, device_samples: 240, pool_samples: 0, sample_hours: 13 * 72, sample_days: 13 * 366 });
    assert.deepEqual(fullRows('pool', { metrics: 2, devices: 0 }, { minuteDays: 1, quarterDays: 30 }), { host_samples: 0, instance_samples: 0, device_samples: 0, pool_samples: 720, sample_hours: 96, sample_days: 62 });
  });

  it('goes by measured rows once there are enough of them', () => {
    assert.equal(rowBytes('sample_days', { rows: 10_000, bytes: 4_000_000 }), 400);
    assert.ok(rowBytes('sample_days', { rows: 3, bytes: 65_536 }) < 1000, 'an almost empty table says nothing');
  });

  it('of what was never measured is taken from the catalogue', () => {
    const [, minutes] = sizesOf('host', { owners: 0, rows: every(0), metrics: 0, devices: 0 }, nothing, keep);
    assert.equal(minutes?.rowsFull, metricsOf('host') * 72);
    assert.equal(minutes?.bytesNow, 0);
  });

  it('is at no time more than its bound', () => {
    const sizes = sizesOf('instance', { owners: 1, rows: { ...every(0), instance_samples: 720, sample_hours: 936, sample_days: 4758 }, metrics: 13, devices: 2 }, nothing, keep);
    for (const { bytesNow, bytesFull, bytesMost } of sizes) assert.ok(bytesNow <= bytesFull && bytesFull < bytesMost);
  });
});
