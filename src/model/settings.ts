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

export type SettingsGroup = keyof Settings;
export const registrations = ['open', 'approval', 'closed'] as const satisfies readonly Settings['site']['registration'][];
export const thresholdMeasures = ['cpuPercent', 'memoryPercent', 'storagePercent'] as const;
export type ThresholdMeasure = (typeof thresholdMeasures)[number];

/** What may be set at all, [least, most]. The rows of the database, the forms and the API all hold to these. */
export const settingsBounds = {
  siteNameLength: [1, 60],
  /** libvirt and QEMU go further; past this a typing mistake is likelier than a machine */
  vcpus: [1, 512],
  memoryMib: [64, 16 * 1024 * 1024],
  diskGib: [1, 1024 * 1024],
  /** of a quota, where 0 means none at all */
  quotaInstances: [0, 100_000],
  quotaVcpus: [0, 100_000],
  quotaMemoryMib: [0, 1024 * 1024 * 1024],
  quotaDiskGib: [0, 100 * 1024 * 1024],
  /** below 1 a part of the host is held back */
  overcommit: [0.1, 64],
  percent: [1, 100],
  /** shorter than a few polls the mean is one sample; longer, the gate closes when the storm is over */
  windowSeconds: [20, 3600],
  currencyLength: [1, 8],
  price: [0, 1_000_000_000],
  shutdownTimeoutSeconds: [10, 3600],
  /** shorter, nobody can type it in time; longer, a password seen over a shoulder stays good */
  passwordSeconds: [30, 3600],
} as const satisfies Record<string, readonly [number, number]>;

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
