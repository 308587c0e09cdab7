// Monitoring: how long measured values are kept, what they cost, and how late they come to the screen.
import { sampleTables, sizesOf, type KindSample, type MeasuredKind, type SampleTable, type TableSize, type TierSize } from '../../../model/sample-size.ts';
import { settingsBounds as bounds, type Settings } from '../../../model/settings.ts';
import { selectKindSample, selectTableSizes } from '../../../store/sample-sizes.ts';
import { selectSettings } from '../../../store/settings.ts';
import type { WebDeps } from '../../deps.ts';
import { loadLatencies } from '../../events/latency.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { groupForm } from '../settings/group-form.ts';
import { settingsPageRoutes } from '../settings/page.ts';

export function adminMonitoringRoutes(deps: WebDeps): Route[] {
  return settingsPageRoutes(deps, {
    path: paths.adminPage('monitoring'), view: 'admin/monitoring/monitoring', titleKey: 'monitoring.title', locals: present,
    forms: [
      groupForm({
        group: 'monitoring',
        fields: [
          { path: 'minuteDays', kind: 'number', bounds: bounds.minuteDays },
          { path: 'quarterDays', kind: 'number', bounds: bounds.quarterDays },
        ],
      }),
    ],
  });
}

const kinds: readonly MeasuredKind[] = ['host', 'instance'];

async function present({ db, clock }: WebDeps): Promise<Readonly<Record<string, unknown>>> {
  const [{ monitoring }, tables, host, instance, pool, latencies] = await Promise.all([
    selectSettings(db), selectTableSizes(db), selectKindSample(db, 'host'), selectKindSample(db, 'instance'), selectKindSample(db, 'pool'), loadLatencies(db, clock.now()),
  ]);
  const samples: Record<MeasuredKind, KindSample> = { host, instance, pool };
  return { keep: monitoring, latencies, costs: kinds.map((kind) => ({ kind, owners: samples[kind].owners, ...costOf(sizesOf(kind, samples[kind], tables, monitoring)) })), fleet: fleetOf(samples, tables, monitoring) };
}

function costOf(tiers: readonly TierSize[]) {
  return { tiers, ...sumOf(tiers) };
}

function sumOf(tiers: readonly TierSize[]) {
  const sum = (key: 'bytesNow' | 'bytesFull' | 'bytesMost'): number => tiers.reduce((total, tier) => total + tier[key], 0);
  return { bytesNow: sum('bytesNow'), bytesFull: sum('bytesFull'), bytesMost: sum('bytesMost') };
}

/** All that is measured now: what its tables take, and what they will take when every tier of every host and instance is full. */
function fleetOf(samples: Readonly<Record<MeasuredKind, KindSample>>, tables: Readonly<Record<SampleTable, TableSize>>, keep: Settings['monitoring']) {
  const each = (Object.keys(samples) as MeasuredKind[]).map((kind) => ({ owners: samples[kind].owners, ...sumOf(sizesOf(kind, samples[kind], tables, keep)) }));
  const total = (key: 'bytesFull' | 'bytesMost'): number => each.reduce((sum, kind) => sum + kind.owners * kind[key], 0);
  return { bytesNow: sampleTables.reduce((sum, table) => sum + tables[table].bytes, 0), bytesFull: total('bytesFull'), bytesMost: total('bytesMost') };
}
