// Takes out what is over: sessions, one-time links, tickets, rate limits, idempotency keys, old operations, samples
// whose owner is gone.
// In batches of at most 500 rows, because a big DELETE fails on MySQL Cluster.
import type { OperationDeps } from '../operations/deps.ts';
import { deleteBackupsBefore } from '../store/backups.ts';
import { purgeConsoleTickets } from '../store/console-tickets.ts';
import { deleteExpiredIdempotencyKeys } from '../store/idempotency-keys.ts';
import { deleteIncidentsResolvedBefore } from '../store/incidents.ts';
import { trimHostEvents } from '../store/host-events.ts';
import { trimInstanceEvents } from '../store/instance-events.ts';
import { deleteMovesEndedBefore } from '../store/moves.ts';
import { deleteNotificationsBefore } from '../store/notifications.ts';
import { deleteEndedOperations } from '../store/operations.ts';
import { deleteOldPortals } from '../store/portals.ts';
import { purgeRateLimits } from '../store/rate-limits.ts';
import { deleteSampleSubject, selectOrphanSubjects } from '../store/sample-subjects.ts';
import { deleteSamples } from '../store/samples.ts';
import { purgeExpiredSessions } from '../store/sessions.ts';
import { purgeSetupLinks } from '../store/setup-links.ts';
import { deleteSuggestionsEndedBefore } from '../store/suggestions.ts';
import { deletePeriodsClosedBefore } from '../store/usage-periods.ts';
import { usageKeptMs } from '../model/usage.ts';

/** An admin who comes back from a week's leave still finds the portal that died. */
const portalsKeptMs = 7 * 86_400_000;
const batchRows = 500;
/** How long an operation that has ended can be looked at. The audit log goes further back. */
const operationsKeptMs = 90 * 86_400_000;
/** Where an instance was a year ago, and what was wrong then, somebody may still ask. */
const movesKeptMs = 400 * 86_400_000;
/** A subject is written before its owner, in one transaction; on MySQL Cluster a reader may see the first half alone. */
const subjectGraceMs = 3_600_000;

export async function purgeExpired({ db, clock, log }: Pick<OperationDeps, 'db' | 'clock' | 'log'>, signal: AbortSignal): Promise<void> {
  const now = clock.now();
  const counts = {
    sessions: await purgeExpiredSessions(db, now),
    setupLinks: await purgeSetupLinks(db, now),
    rateLimits: await purgeRateLimits(db, now),
    consoleTickets: await inBatches(signal, () => purgeConsoleTickets(db, now)),
    idempotencyKeys: await inBatches(signal, () => deleteExpiredIdempotencyKeys(db, now, batchRows)),
    diaryEntries: await inBatches(signal, () => trimInstanceEvents(db, batchRows)),
    hostEvents: await inBatches(signal, () => trimHostEvents(db, batchRows)),
    operations: await inBatches(signal, () => deleteEndedOperations(db, now - operationsKeptMs, batchRows)),
    moves: await inBatches(signal, () => deleteMovesEndedBefore(db, now - movesKeptMs, batchRows)),
    suggestions: await inBatches(signal, () => deleteSuggestionsEndedBefore(db, now - operationsKeptMs, batchRows)),
    usagePeriods: await inBatches(signal, () => deletePeriodsClosedBefore(db, now - usageKeptMs, batchRows)),
    incidents: await inBatches(signal, () => deleteIncidentsResolvedBefore(db, now - movesKeptMs, batchRows)),
    notifications: await inBatches(signal, () => deleteNotificationsBefore(db, now - operationsKeptMs, batchRows)),
    portals: await deleteOldPortals(db, portalsKeptMs),
    backups: await inBatches(signal, () => deleteBackupsBefore(db, now - movesKeptMs, batchRows)),
    subjects: await purgeOrphanSubjects(),
  };
  log.info(counts, 'purged what had expired');

  async function purgeOrphanSubjects(): Promise<number> {
    const orphans = await selectOrphanSubjects(db, now - subjectGraceMs, batchRows);
    for (const id of orphans) {
      if (signal.aborted) break;
      await deleteSamples(db, id);
      await deleteSampleSubject(db, id);
      // what a roll-up wrote meanwhile; without a subject there can be no more
      await deleteSamples(db, id);
    }
    return orphans.length;
  }
}

/** Repeats a statement that takes one batch at a time until it finds less than a batch; how many rows it took in all. */
async function inBatches(signal: AbortSignal, work: () => Promise<number>): Promise<number> {
  let total = 0;
  for (;;) {
    const rows = await work();
    total += rows;
    if (rows < batchRows || signal.aborted) return total;
  }
}
