// When quotas are used up: a user's own, and those of all who come near.
import { forecastDays, forecastFull, type DayValue, type Forecast } from '../../model/forecast.ts';
import { createLevelSums, type Level } from '../../model/usage.ts';
import type { Quota } from '../../model/user.ts';
import type { Db } from '../../store/db.ts';
import { selectPeriodsSince, selectUsagePeriods } from '../../store/usage-periods.ts';

export const resources = ['instances', 'vcpus', 'memoryMib', 'diskGib'] as const;
export type Resource = (typeof resources)[number];

const dayMs = 86_400_000;

/** The ends of the days that have passed, and now. */
function momentsUntil(now: number, since: number): number[] {
  const today = Math.floor(now / dayMs) * dayMs;
  return [...Array.from({ length: forecastDays }, (_, i) => today - (forecastDays - 1 - i) * dayMs), now].filter((at) => at >= since);
}

export interface Levels {
  readonly moments: readonly number[];
  /** user's id → what they had at each moment */
  readonly users: ReadonlyMap<string, readonly Level[]>;
}

/** What was promised, at the end of each day, as far back as is known for certain. */
export async function loadLevels(db: Db, now: number, userId?: string): Promise<Levels> {
  const moments = momentsUntil(now, await selectPeriodsSince(db));
  const sums = createLevelSums(moments);
  for await (const period of selectUsagePeriods(db, { from: moments[0] ?? now, to: now + 1, userId })) sums.add(period.userId, period);
  return { moments, users: sums.levels() };
}

/** From the first day on that there was anything: the time before is not part of its growth. */
export function dayValues({ moments }: Levels, levels: readonly Level[], resource: Resource): DayValue[] {
  const first = levels.findIndex((level) => level.instances > 0);
  return first < 0 ? [] : moments.slice(first).map((at, i) => ({ at, value: levels[first + i]?.[resource] ?? 0 }));
}

/** Each resource of one user's quota that is half used up; one whose end cannot be told is left out. */
export function quotaForecasts(levels: Levels, userId: string, quota: Quota, now: number): { readonly resource: Resource; readonly forecast: Forecast & { readonly kind: 'runs-out' } }[] {
  const own = levels.users.get(userId);
  if (own === undefined) return [];
  return resources.flatMap((resource) => {
    if ((own.at(-1)?.[resource] ?? 0) * 2 < quota[resource]) return [];
    const forecast = forecastFull(dayValues(levels, own, resource), quota[resource], now);
    return forecast.kind === 'runs-out' ? [{ resource, forecast }] : [];
  });
}
