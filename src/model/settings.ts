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
    /** seconds for which a mean must be above before the gate closes, and below before it opens */
    readonly holdSeconds: number;
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
  readonly placement: {
    /** spread: the emptiest host first · pack: the fullest that still fits */
    readonly strategy: PlacementStrategy;
    /** share of measured load in the score, percent; the rest is what is promised */
    readonly loadWeightPercent: number;
    /** a host whose measured CPU or memory (mean of the last minutes) is above takes nothing new, percent */
    readonly maxCpuPercent: number;
    readonly maxMemoryPercent: number;
  };
  readonly migration: {
    /** moves at once away from one host, and in all; the rest queue */
    readonly perHost: number;
    readonly total: number;
    /** MiB/s a move; 0: no limit */
    readonly bandwidthMib: number;
    /** milliseconds that a guest may stand still at the end */
    readonly maxDowntimeMs: number;
    /** slows a guest that dirties memory faster than it can be sent */
    readonly autoConverge: boolean;
    /** seconds after which a move that does not converge goes on as post-copy; 0: never */
    readonly postCopyAfterSeconds: number;
    /** seconds after which a move is given up and the instance stays; past post-copy it cannot be */
    readonly timeoutSeconds: number;
    /** TLS for the migration stream and copied disks: where the hosts' own connections have it, or always */
    readonly encryption: MigrationEncryption;
  };
  readonly balancing: {
    readonly mode: BalancingMode;
    /** a host is overloaded when its measured CPU or memory was above in each of the last `samples` samples */
    readonly highCpuPercent: number;
    readonly highMemoryPercent: number;
    readonly samples: number;
    /** the target must stay under these with the instance on it */
    readonly lowCpuPercent: number;
    readonly lowMemoryPercent: number;
    /** points of load by which the two hosts must come closer */
    readonly minGainPercent: number;
    /** seconds for which an instance that has moved stays where it is */
    readonly cooldownSeconds: number;
    readonly movesPerRound: number;
  };
  readonly availability: {
    /** act at all when a host is gone */
    readonly enabled: boolean;
    /** seconds between noticing and proving: a host that only restarts its libvirtd is back by then */
    readonly graceSeconds: number;
    /** what counts as proof that a silent host runs nothing: see docs/admin.md on what each protects against */
    readonly proof: AvailabilityProof;
    /** new instances restart elsewhere unless their owner says no */
    readonly defaultHa: boolean;
  };
  /** days for which measured values are kept in steps of a minute, and of a quarter of an hour; every sample is for two hours */
  readonly monitoring: { readonly minuteDays: number; readonly quarterDays: number };
  readonly alerts: {
    /** IANA name; quiet hours and the digest's time are of its wall clock */
    readonly timeZone: string;
    /** admins are mailed nothing below it */
    readonly mailSeverity: MailSeverity;
    /** they are mailed too when an incident is over */
    readonly mailResolved: boolean;
    /** what is beyond waits and is told together */
    readonly notificationsPerHour: number;
    /** minutes that an incident must stay away before it counts as over; a relapse before is the same incident */
    readonly calmMinutes: number;
    readonly digest: DigestMode;
    /** HH:MM */
    readonly digestAt: string;
  };
}

export const placementStrategies = ['spread', 'pack'] as const;
export type PlacementStrategy = (typeof placementStrategies)[number];
export const migrationEncryptions = ['auto', 'always', 'never'] as const;
export type MigrationEncryption = (typeof migrationEncryptions)[number];
export const balancingModes = ['off', 'suggest', 'act'] as const;
export type BalancingMode = (typeof balancingModes)[number];
export const availabilityProofs = ['fencing', 'fencing-or-lock'] as const;
export type AvailabilityProof = (typeof availabilityProofs)[number];

export const mailSeverities = ['critical', 'warning', 'info', 'none'] as const;
export type MailSeverity = (typeof mailSeverities)[number];
export const digestModes = ['off', 'needed', 'always'] as const;
export type DigestMode = (typeof digestModes)[number];

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
  /** 0: at once. Longer, the gate closes when the storm is over */
  holdSeconds: [0, 3600],
  currencyLength: [1, 8],
  price: [0, 1_000_000_000],
  shutdownTimeoutSeconds: [10, 3600],
  /** shorter, nobody can type it in time; longer, a password seen over a shoulder stays good */
  passwordSeconds: [30, 3600],
  /** libvirtd serves few long calls at once, and a gigabit link has nothing to give to more */
  movesPerHost: [1, 8],
  movesTotal: [1, 64],
  bandwidthMib: [0, 100_000],
  /** shorter, a busy guest never converges; longer, its users notice */
  maxDowntimeMs: [10, 10_000],
  postCopyAfterSeconds: [0, 3600],
  moveTimeoutSeconds: [30, 86_400],
  balancingSamples: [1, 180],
  cooldownSeconds: [0, 86_400],
  movesPerRound: [1, 20],
  graceSeconds: [0, 3600],
  timeZoneLength: [1, 64],
  /** fewer, and the second bad thing of the hour waits; more, and nobody reads them */
  notificationsPerHour: [1, 120],
  /** shorter, a flapping host is told again and again; longer, "it is over" comes late */
  calmMinutes: [1, 240],
  digestAtLength: [5, 5],
  minuteDays: [1, 14],
  quarterDays: [30, 1100],
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
    holdSeconds: 60,
  },
  prices: { currency: 'NT$', perVcpu: 1000, perMemoryGib: 1500, perDiskGib: 1500 },
  power: { shutdownTimeoutSeconds: 60 },
  console: { passwordSeconds: 300 },
  placement: { strategy: 'spread', loadWeightPercent: 30, maxCpuPercent: 95, maxMemoryPercent: 97 },
  migration: { perHost: 2, total: 5, bandwidthMib: 0, maxDowntimeMs: 300, autoConverge: true, postCopyAfterSeconds: 0, timeoutSeconds: 1800, encryption: 'auto' },
  balancing: {
    mode: 'off', highCpuPercent: 85, highMemoryPercent: 90, samples: 6, lowCpuPercent: 70, lowMemoryPercent: 80, minGainPercent: 10, cooldownSeconds: 1800, movesPerRound: 2,
  },
  availability: { enabled: true, graceSeconds: 15, proof: 'fencing', defaultHa: true },
  alerts: { timeZone: 'UTC', mailSeverity: 'warning', mailResolved: true, notificationsPerHour: 12, calmMinutes: 10, digest: 'needed', digestAt: '08:00' },
  monitoring: { minuteDays: 2, quarterDays: 365 },
};
