// What an administrator can set, with the values a new cloud starts with. store/settings.ts keeps them, each group one row.
import type { PriceList } from './price.ts';
import type { Size } from './size.ts';
import type { Language, Quota } from './user.ts';

export interface ThresholdPair {
  /** the gate closes when the mean over the window reaches this, percent */
  readonly close: number;
  /** and opens again when the mean falls to this; below `close`, so that it does not flap */
  readonly open: number;
}

export interface Settings {
  readonly site: {
    readonly name: string;
    readonly registration: 'open' | 'approval' | 'closed';
    readonly defaultLanguage: Language;
  };
  /** the largest single instance a user may ask for */
  readonly caps: Size;
  /** for users without a quota of their own */
  readonly quota: Quota;
  /** allocation limits: promised / physical. Not to be confused with thresholds, which are about measured load. */
  readonly overcommit: { readonly vcpus: number; readonly memory: number; readonly disk: number };
  /** load thresholds on measured values */
  readonly thresholds: {
    readonly enabled: boolean;
    readonly cpuPercent: ThresholdPair;
    readonly memoryPercent: ThresholdPair;
    readonly storagePercent: ThresholdPair;
    /** seconds of samples that the mean is taken over */
    readonly windowSeconds: number;
  };
  readonly prices: PriceList;
  readonly power: {
    /** seconds after which a guest that ignores ACPI is reported and "force off" is offered */
    readonly shutdownTimeoutSeconds: number;
  };
  readonly console: {
    /** seconds for which a console password opens the screen */
    readonly passwordSeconds: number;
  };
}

export const defaultSettings: Settings = {
  site: { name: 'Cloud@HPC', registration: 'open', defaultLanguage: 'en' },
  caps: { vcpus: 4, memoryMib: 8192, diskGib: 100 },
  quota: { instances: 5, vcpus: 8, memoryMib: 16384, diskGib: 200 },
  overcommit: { vcpus: 4, memory: 1, disk: 2 },
  thresholds: {
    enabled: true,
    cpuPercent: { close: 90, open: 80 },
    memoryPercent: { close: 95, open: 90 },
    storagePercent: { close: 90, open: 85 },
    windowSeconds: 120,
  },
  prices: { currency: 'NT$', perVcpu: 1000, perMemoryGib: 1500, perDiskGib: 1500 },
  power: { shutdownTimeoutSeconds: 60 },
  console: { passwordSeconds: 300 },
};
