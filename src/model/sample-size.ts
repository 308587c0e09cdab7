// What measured values cost: how many rows each tier has of one host or instance when it is full, and how many bytes a row takes.
import { metrics } from './metric.ts';
import type { Settings } from './settings.ts';

export const sampleTables = ['host_samples', 'instance_samples', 'device_samples', 'pool_samples', 'sample_hours', 'sample_days'] as const;
export type SampleTable = (typeof sampleTables)[number];

/** A whole table, as the database's engine says. */
export interface TableSize {
  readonly rows: number;
  /** with indexes and what the engine adds */
  readonly bytes: number;
}

export type MeasuredKind = 'host' | 'instance' | 'pool';

/** What one owner has in the mean now: rows of each table, and how many metrics and devices are behind them. */
export interface KindSample {
  readonly owners: number;
  readonly rows: Readonly<Record<SampleTable, number>>;
  readonly metrics: number;
  readonly devices: number;
}

/** Below so many rows a table is mostly its own beginnings: these are what full ones came to (scripts/bench/sample-bytes). */
const meaningfulRows = 5000;
const usualRowBytes: Readonly<Record<SampleTable, number>> = { host_samples: 160, instance_samples: 185, device_samples: 90, pool_samples: 80, sample_hours: 600, sample_days: 590 };
/** A row that holds as much as fits: values without any order, of which every one differs. */
const mostRowBytes: Readonly<Record<SampleTable, number>> = { host_samples: 270, instance_samples: 300, device_samples: 180, pool_samples: 140, sample_hours: 1400, sample_days: 2000 };

const slotsOfTurn = { samples: 720, devices: 120 } as const;

export interface TierSize {
  readonly tier: 'finest' | 'minutes' | 'quarters';
  readonly rowsNow: number;
  readonly rowsFull: number;
  readonly bytesNow: number;
  readonly bytesFull: number;
  /** cannot be passed, whatever is measured */
  readonly bytesMost: number;
}

export function rowBytes(table: SampleTable, { rows, bytes }: TableSize): number {
  return rows >= meaningfulRows ? bytes / rows : usualRowBytes[table];
}

/** Rows of one owner when every tier is full. Hours go once a day, with the day that is made of them: up to one day more is there. */
export function fullRows(kind: MeasuredKind, { metrics: kept, devices }: { readonly metrics: number; readonly devices: number }, keep: Settings['monitoring']): Record<SampleTable, number> {
  return {
    host_samples: kind === 'host' ? slotsOfTurn.samples : 0,
    instance_samples: kind === 'instance' ? slotsOfTurn.samples : 0,
    device_samples: slotsOfTurn.devices * devices,
    pool_samples: kind === 'pool' ? slotsOfTurn.samples : 0,
    sample_hours: kept * 24 * (keep.minuteDays + 1),
    sample_days: kept * (keep.quarterDays + 1),
  };
}

/** How many metrics a kind has in all, for owners of which nothing is kept yet. */
export function metricsOf(kind: MeasuredKind): number {
  return Object.values(metrics).filter((metric) => metric.kind === kind).length;
}

const tablesOfTier = { finest: ['host_samples', 'instance_samples', 'device_samples', 'pool_samples'], minutes: ['sample_hours'], quarters: ['sample_days'] } as const satisfies Record<TierSize['tier'], readonly SampleTable[]>;

/** Tier by tier, what one owner of this kind has now and will have at most. */
export function sizesOf(kind: MeasuredKind, now: KindSample, tables: Readonly<Record<SampleTable, TableSize>>, keep: Settings['monitoring']): TierSize[] {
  const full = fullRows(kind, { metrics: Math.max(now.metrics, metricsOf(kind)), devices: now.devices }, keep);
  const expected = fullRows(kind, { metrics: now.metrics > 0 ? now.metrics : metricsOf(kind), devices: now.devices }, keep);
  return (Object.keys(tablesOfTier) as TierSize['tier'][]).map((tier) => {
    const sum = (of: (table: SampleTable) => number): number => tablesOfTier[tier].reduce((total, table) => total + of(table), 0);
    return {
      tier,
      rowsNow: sum((table) => now.rows[table]),
      rowsFull: sum((table) => expected[table]),
      bytesNow: sum((table) => now.rows[table] * rowBytes(table, tables[table])),
      bytesFull: sum((table) => expected[table] * rowBytes(table, tables[table])),
      bytesMost: sum((table) => full[table] * mostRowBytes[table]),
    };
  });
}
