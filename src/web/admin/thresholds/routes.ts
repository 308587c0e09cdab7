// Load thresholds, with what they mean at the present load.
import { say, type Sentence } from '../../../errors.ts';
import type { ClusterLoad, Gate } from '../../../model/admission.ts';
import { settingsBounds as bounds, thresholdMeasures, type Settings, type ThresholdMeasure } from '../../../model/settings.ts';
import { loadClusterLoad } from '../../../operations/cluster.ts';
import { selectGate } from '../../../store/gate.ts';
import { selectSettings } from '../../../store/settings.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { groupForm } from '../settings/group-form.ts';
import { settingsPageRoutes } from '../settings/page.ts';
import { loadGatePreview, previewDays } from './preview.ts';

export function adminThresholdRoutes(deps: WebDeps): Route[] {
  return settingsPageRoutes(deps, {
    path: paths.adminPage('thresholds'), view: 'admin/thresholds/thresholds', titleKey: 'thresholds.title', locals: presentLoad,
    // the page has one form
    preview: async (each, value) => ({ preview: await loadGatePreview(each, value as Settings['thresholds']) }),
    forms: [
      groupForm({
        group: 'thresholds',
        fields: [
          { path: 'enabled', kind: 'checkbox' },
          ...thresholdMeasures.flatMap((measure) => [
            { path: `${measure}.close`, kind: 'number' as const, bounds: bounds.percent, digits: 1, suffix: '%' },
            { path: `${measure}.open`, kind: 'number' as const, bounds: [0, bounds.percent[1]] as const, digits: 1, suffix: '%' },
          ]),
          { path: 'windowSeconds', kind: 'number', bounds: bounds.windowSeconds, suffix: 's' },
          { path: 'holdSeconds', kind: 'number', bounds: bounds.holdSeconds, suffix: 's' },
        ],
        complaints: (value) => Object.fromEntries(
          thresholdMeasures.filter((measure) => value[measure].open >= value[measure].close).map((measure) => [`${measure}.open`, say('thresholds.open-below-close', { close: value[measure].close })]),
        ),
      }),
    ],
  });
}

interface PresentLoad {
  readonly gate: Gate;
  readonly load: readonly { readonly measure: ThresholdMeasure; readonly value: number | null; readonly meaning: Sentence }[];
  readonly windowSeconds: number;
  readonly enabled: boolean;
  readonly previewDays: number;
}

async function presentLoad({ db, clock }: WebDeps): Promise<PresentLoad & Readonly<Record<string, unknown>>> {
  const settings = await selectSettings(db);
  const [gate, load] = await Promise.all([selectGate(db), loadClusterLoad(db, settings, clock.now())]);
  return {
    gate,
    load: thresholdMeasures.map((measure) => ({ measure, value: load[measure], meaning: meaningOf(measure, load, gate, settings.thresholds) })),
    windowSeconds: settings.thresholds.windowSeconds,
    enabled: settings.thresholds.enabled,
    previewDays,
  };
}

/** What the thresholds do with one measured value, as model/threshold.ts will decide at the next check. */
export function meaningOf(measure: ThresholdMeasure, load: ClusterLoad, gate: Gate, thresholds: Settings['thresholds']): Sentence {
  const value = load[measure];
  const { close, open } = thresholds[measure];
  if (!thresholds.enabled) return say('thresholds.means.off');
  if (value === null) return say('thresholds.means.unmeasured');
  const closedIt = gate.closed && gate.reasons.some((reason) => reason.key === `admission.gate.${measure}`);
  const seconds = thresholds.holdSeconds;
  if (closedIt && value > open) return say('thresholds.means.keeps-closed', { open });
  if (closedIt) return seconds > 0 ? say('thresholds.means.opens-when-held', { seconds }) : say('thresholds.means.will-open');
  if (value < close) return say('thresholds.means.below', { close });
  return seconds > 0 ? say('thresholds.means.closes-when-held', { close, seconds }) : say('thresholds.means.will-close', { close });
}
