// The daily digest: once a day, at the time of the settings. Its id is the day's, so that of several portals, and after a
// restart, one sends it.
import { createHash } from 'node:crypto';
import { localTime, minuteOf } from '../model/notification.ts';
import { uuidFromHash } from '../model/uuid.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { hasNews, loadDigest } from '../operations/digest.ts';
import { adminTargets } from '../operations/incidents.ts';
import { insertNotification, notificationExists } from '../store/notifications.ts';
import { selectSettings } from '../store/settings.ts';

/** A portal that was away at the time sends it late; later than this it is left out: nobody reads the morning's news at night. */
const lateMinutes = 360;

export async function sendDigest({ db, clock, log, mailEnabled }: Pick<OperationDeps, 'db' | 'clock' | 'log'> & { readonly mailEnabled: boolean }): Promise<void> {
  const { alerts } = await selectSettings(db);
  if (alerts.digest === 'off' || !mailEnabled) return;
  const now = clock.now();
  const { day, minute } = localTime(now, alerts.timeZone);
  const late = minute - (minuteOf(alerts.digestAt) ?? 0);
  if (late < 0 || late > lateMinutes) return;
  const id = digestId(day);
  if (await notificationExists(db, id)) return;
  const content = await loadDigest(db, now);
  // one that says nothing is noted, and goes to nobody
  const told = alerts.digest === 'always' || hasNews(content);
  await db.transaction(async (tx) => insertNotification(tx, { id, kind: 'digest', at: now, content }, told ? await adminTargets(tx) : []));
  log.info({ day, told }, 'daily digest');
}

export function digestId(day: string): string {
  return uuidFromHash(createHash('sha256').update(`digest ${day}`).digest('hex'));
}
