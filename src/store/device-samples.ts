// Measured values of single disks and network interfaces, a row a minute for two hours, and what the devices are called.
import { deviceNumbers, type DeviceSample } from '../model/metrics.ts';
import type { Db } from './db.ts';
import { batchRows, columnsOf, insertSamples, rings, toSample, type NewSample, type Ring, type SampleRow } from './sample-ring.ts';

const ring: Ring<DeviceSample> = {
  table: 'device_samples',
  ...rings.devices,
  columns: {
    device: 'device',
    readBytesPerSecond: 'read_bps',
    writeBytesPerSecond: 'write_bps',
    readOpsPerSecond: 'read_ops',
    writeOpsPerSecond: 'write_ops',
    dropsPerSecond: 'drops_ps',
    allocationMib: 'allocation_mib',
  },
};

export const insertDeviceSamples = (db: Db, samples: readonly (NewSample<DeviceSample> & Pick<DeviceSample, 'device'>)[]): Promise<void> => insertSamples(db, ring, samples);

/** One device's samples from `from` to `to`, oldest first. */
export async function selectDeviceSampleRange(db: Db, subjectId: number, device: number, from: number, to: number): Promise<DeviceSample[]> {
  const rows = await db.query<SampleRow>(
    `SELECT subject_id, at, ${columnsOf(ring).join(', ')} FROM device_samples WHERE subject_id = ? AND device = ? AND at BETWEEN ? AND ? ORDER BY at`,
    [subjectId, device, from, to],
  );
  return rows.map((row) => toSample(ring, row));
}

export interface SampleDevice {
  readonly device: number;
  readonly kind: 'disk' | 'interface';
  /** a disk's target (vda), an interface's MAC address */
  readonly name: string;
  /** when the name was last written: whenever the machine is new to the portal that measures it */
  readonly seenAt: number;
}

export interface NewSampleDevice { readonly subjectId: number; readonly device: number; readonly name: string }

export async function upsertSampleDevices(db: Db, devices: readonly NewSampleDevice[], now: number): Promise<void> {
  for (let start = 0; start < devices.length; start += batchRows) {
    const batch = devices.slice(start, start + batchRows);
    await db.execute(
      `REPLACE INTO sample_devices (subject_id, device, name, seen_at) VALUES ${batch.map(() => '(?, ?, ?, ?)').join(', ')}`,
      batch.flatMap(({ subjectId, device, name }) => [subjectId, device, name.slice(0, 32), now]),
    );
  }
}

/** The devices of an instance: disks, then interfaces. */
export async function selectSampleDevices(db: Db, subjectId: number): Promise<SampleDevice[]> {
  const rows = await db.query<{ device: number; name: string; seen_at: number }>('SELECT device, name, seen_at FROM sample_devices WHERE subject_id = ? ORDER BY device', [subjectId]);
  return rows.map((row) => ({ device: row.device, kind: row.device < deviceNumbers.interface ? 'disk' : 'interface', name: row.name, seenAt: row.seen_at }));
}
