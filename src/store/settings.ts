// Table settings: one row a group, JSON. A group without a row, or with one that does not hold to the schema, has the
// defaults of model/settings.ts: a bad row is reported and never stops a page.
import { performance } from 'node:perf_hooks';
import { z } from 'zod';
import {
  availabilityProofs, balancingModes, defaultSettings, digestModes, mailSeverities, migrationEncryptions, placementStrategies, registrations, settingsBounds, type Settings, type SettingsGroup,
} from '../model/settings.ts';
import { isTimeZone, minuteOf } from '../model/notification.ts';
import { languages } from '../model/user.ts';
import type { Database, Db } from './db.ts';
import { insertPriceList } from './price-lists.ts';

const integer = ([least, most]: readonly [number, number]): z.ZodNumber => z.number().int().min(least).max(most);
const decimal = ([least, most]: readonly [number, number]): z.ZodNumber => z.number().min(least).max(most);
const text = ([least, most]: readonly [number, number]): z.ZodString => z.string().min(least).max(most);
const b = settingsBounds;
const pair = z
  .object({ close: decimal(b.percent), open: decimal([0, b.percent[1]]) })
  .refine((value) => value.open < value.close, { path: ['open'], message: 'open must be below close' });

/** What each group must hold to: the only place where the shape of a setting is checked. */
export const settingsSchemas = {
  site: z.object({ name: text(b.siteNameLength), registration: z.enum(registrations), defaultLanguage: z.enum(languages) }),
  caps: z.object({ vcpus: integer(b.vcpus), memoryMib: integer(b.memoryMib), diskGib: integer(b.diskGib) }),
  quota: z.object({ instances: integer(b.quotaInstances), vcpus: integer(b.quotaVcpus), memoryMib: integer(b.quotaMemoryMib), diskGib: integer(b.quotaDiskGib) }),
  overcommit: z.object({ vcpus: decimal(b.overcommit), memory: decimal(b.overcommit), disk: decimal(b.overcommit) }),
  thresholds: z.object({
    enabled: z.boolean(), cpuPercent: pair, memoryPercent: pair, storagePercent: pair, windowSeconds: integer(b.windowSeconds),
    // rows from before it could be set have none
    holdSeconds: integer(b.holdSeconds).default(defaultSettings.thresholds.holdSeconds),
  }),
  prices: z.object({ currency: text(b.currencyLength), perVcpu: decimal(b.price), perMemoryGib: decimal(b.price), perDiskGib: decimal(b.price) }),
  power: z.object({ shutdownTimeoutSeconds: integer(b.shutdownTimeoutSeconds) }),
  console: z.object({ passwordSeconds: integer(b.passwordSeconds) }),
  placement: z.object({
    strategy: z.enum(placementStrategies), loadWeightPercent: decimal([0, 100]), maxCpuPercent: decimal(b.percent), maxMemoryPercent: decimal(b.percent),
  }),
  migration: z.object({
    perHost: integer(b.movesPerHost), total: integer(b.movesTotal), bandwidthMib: integer(b.bandwidthMib), maxDowntimeMs: integer(b.maxDowntimeMs),
    autoConverge: z.boolean(), postCopyAfterSeconds: integer(b.postCopyAfterSeconds), timeoutSeconds: integer(b.moveTimeoutSeconds), encryption: z.enum(migrationEncryptions),
  }),
  balancing: z.object({
    mode: z.enum(balancingModes), highCpuPercent: decimal(b.percent), highMemoryPercent: decimal(b.percent), samples: integer(b.balancingSamples),
    lowCpuPercent: decimal(b.percent), lowMemoryPercent: decimal(b.percent), minGainPercent: decimal(b.percent),
    cooldownSeconds: integer(b.cooldownSeconds), movesPerRound: integer(b.movesPerRound),
  })
    // else a machine would be moved to a host that is overloaded with it
    .refine((value) => value.lowCpuPercent < value.highCpuPercent && value.lowMemoryPercent < value.highMemoryPercent, { message: 'low must be below high' }),
  availability: z.object({ enabled: z.boolean(), graceSeconds: integer(b.graceSeconds), proof: z.enum(availabilityProofs), defaultHa: z.boolean() }),
  alerts: z.object({
    timeZone: text(b.timeZoneLength).refine(isTimeZone), mailSeverity: z.enum(mailSeverities), mailResolved: z.boolean(),
    notificationsPerHour: integer(b.notificationsPerHour), calmMinutes: integer(b.calmMinutes), digest: z.enum(digestModes), digestAt: z.string().refine((value) => minuteOf(value) !== undefined),
  }),
  monitoring: z.object({ minuteDays: integer(b.minuteDays), quarterDays: integer(b.quarterDays) }),
} satisfies { [G in SettingsGroup]: z.ZodType<Settings[G]> };

export const settingsGroups = Object.keys(settingsSchemas) as SettingsGroup[];

interface SettingsRow { name: string; value: string; updated_at: number; updated_by: string | null }
export interface SettingsLog { warn(details: object, message: string): void }

/** Every page reads the settings: for this long the last answer is good enough. A change here is seen at once, on another portal after this. */
const cacheMs = 1000;
const cache = new WeakMap<Db, { readonly settings: Settings; readonly until: number; readonly generation: number }>();
let generation = 0;
const reportedRows = new Map<string, string>();

/** All settings in force. A transaction reads past the cache. */
export async function selectSettings(db: Db, log?: SettingsLog): Promise<Settings> {
  const cached = cache.get(db);
  if (cached !== undefined && cached.generation === generation && performance.now() < cached.until) return cached.settings;
  const read = generation;
  const rows = await db.query<SettingsRow>('SELECT name, value, updated_at, updated_by FROM settings');
  const byName = new Map(rows.map((row) => [row.name, row]));
  const settings = Object.fromEntries(settingsGroups.map((group) => [group, valueOf(group, byName.get(group), log)])) as unknown as Settings;
  cache.set(db, { settings, until: performance.now() + cacheMs, generation: read });
  return settings;
}

export interface SettingsVersion<G extends SettingsGroup> {
  readonly value: Settings[G];
  /** goes back to updateSettings so that two admins do not overwrite each other; 0: never set */
  readonly version: number;
  readonly updatedBy: string | null;
}

/** One group as it is now, past the cache, for a form that changes it. */
export async function selectSettingsVersion<G extends SettingsGroup>(db: Db, group: G, log?: SettingsLog): Promise<SettingsVersion<G>> {
  const row = await selectRow(db, group);
  return { value: valueOf(group, row, log), version: row?.updated_at ?? 0, updatedBy: row?.updated_by ?? null };
}

/**
 * Sets one group. With `expectedVersion` only when nobody has set it since that was read: false, nothing changed.
 * Throws ZodError for a value outside the schema: forms check first.
 */
export async function updateSettings<G extends SettingsGroup>(
  db: Database, group: G, value: Settings[G], userId: string | null, now: number, expectedVersion?: number,
): Promise<boolean> {
  const json = JSON.stringify(settingsSchemas[group].parse(value));
  const write = (to: Db): Promise<boolean> => writeRow(to, group, json, userId, now, expectedVersion);
  const won = group === 'prices' ? await db.transaction((tx) => withPriceHistory(tx, () => write(tx))) : await write(db);
  generation++;
  return won;
}

/** What is in force now becomes history, and so does what the write puts in its place: the list of any moment can be found. */
async function withPriceHistory(tx: Db, write: () => Promise<boolean>): Promise<boolean> {
  const before = await selectSettingsVersion(tx, 'prices');
  if (!(await write())) return false;
  const after = await selectSettingsVersion(tx, 'prices');
  for (const { value, version } of [before, after]) await insertPriceList(tx, { validFrom: version, ...value });
  return true;
}

async function writeRow(db: Db, group: SettingsGroup, json: string, userId: string | null, now: number, expected: number | undefined): Promise<boolean> {
  if (expected === undefined) {
    // the version must grow even when two changes fall into one millisecond
    await db.execute(
      'INSERT INTO settings (name, value, updated_at, updated_by) VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE value = VALUES(value), updated_at = GREATEST(updated_at + 1, VALUES(updated_at)), updated_by = VALUES(updated_by)',
      [group, json, now, userId],
    );
    return true;
  }
  if (expected === 0) {
    // IGNORE: on MySQL Cluster a duplicate key would end the transaction that this may be part of
    const { affectedRows } = await db.execute('INSERT IGNORE INTO settings (name, value, updated_at, updated_by) VALUES (?, ?, ?, ?)', [group, json, now, userId]);
    if (affectedRows === 1) return true;
  } else {
    const { affectedRows } = await db.execute('UPDATE settings SET value = ?, updated_at = ?, updated_by = ? WHERE name = ? AND updated_at = ?', [json, Math.max(now, expected + 1), userId, group, expected]);
    if (affectedRows === 1) return true;
  }
  // a write whose answer was lost is run again by db.ts: what stands there may be ours
  const row = await selectRow(db, group);
  return row !== undefined && row.value === json && row.updated_by === userId;
}

async function selectRow(db: Db, group: SettingsGroup): Promise<SettingsRow | undefined> {
  return (await db.query<SettingsRow>('SELECT name, value, updated_at, updated_by FROM settings WHERE name = ?', [group]))[0];
}

function valueOf<G extends SettingsGroup>(group: G, row: SettingsRow | undefined, log: SettingsLog | undefined): Settings[G] {
  if (row === undefined) return defaultSettings[group];
  const parsed = settingsSchemas[group].safeParse(parseJson(row.value));
  if (parsed.success) return parsed.data as Settings[G];
  report(group, row.value, z.prettifyError(parsed.error), log);
  return defaultSettings[group];
}

function parseJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** Once for each bad row, not once a second. */
function report(group: string, value: string, reason: string, log: SettingsLog | undefined): void {
  if (reportedRows.get(group) === value) return;
  reportedRows.set(group, value);
  const message = 'a row of table settings cannot be used; the defaults of this group hold until an admin saves it again';
  if (log !== undefined) log.warn({ group, reason }, message);
  else process.emitWarning(`settings.${group}: ${message}: ${reason}`);
}
