// Takes out what is over: sessions, one-time links, tickets, rate limits, idempotency keys, dead tokens, old operations and
// audit entries, samples whose owner is gone.
import type { OperationDeps } from '../operations/deps.ts';
import { deleteDeadTokens } from '../store/api-tokens.ts';
import { auditKeptDays, deleteAuditBefore } from '../store/audit.ts';
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
import { deleteSampleSubjects, selectOrphanSubjects } from '../store/sample-subjects.ts';
import { deleteSamples } from '../store/samples.ts';
import { purgeExpiredSessions } from '../store/sessions.ts';
import { purgeSetupLinks } from '../store/setup-links.ts';
import { deleteSuggestionsEndedBefore } from '../store/suggestions.ts';
import { deletePeriodsClosedBefore } from '../store/usage-periods.ts';
import { usageKeptMs } from '../model/usage.ts';
import { batchRows, inBatches } from './in-batches.ts';

const dayMs = 86_400_000;
/** An admin who comes back from a week's leave still finds the portal that died. */
const portalsKeptMs = 7 * dayMs;
/** How long an operation that has ended can be looked at. The audit log goes further back. */
const operationsKeptMs = 90 * dayMs;
/** Where an instance was a year ago, and what was wrong then, somebody may still ask. */
const movesKeptMs = 400 * dayMs;
/** When a token was last used may be asked after it was stolen. */
const deadTokensKeptMs = 30 * dayMs;
/** A subject is written before its owner, in one transaction; on MySQL Cluster a reader may see the first half alone. */
const subjectGraceMs = 3_600_000;
/** More: a table is searched row by row, and what is being written waits; fewer: many statements, each a while on MySQL Cluster. */
const subjectsAtOnce = 50;
/** Longer: the next hour's purge is late; shorter: a script that makes machines in a loop makes more than are taken out. */
const subjectsMaxMs = 600_000;

export async function purgeExpired({ db, clock, log }: Pick<OperationDeps, 'db' | 'clock' | 'log'>, signal: AbortSignal): Promise<void> {
  const now = clock.now();
  const counts = {
    sessions: await purgeExpiredSessions(db, now),
    setupLinks: await purgeSetupLinks(db, now),
    rateLimits: await purgeRateLimits(db, now),
    consoleTickets: await inBatches(signal, () => purgeConsoleTickets(db, now)),
    apiTokens: await inBatches(signal, () => deleteDeadTokens(db, now - deadTokensKeptMs, batchRows)),
    audit: await inBatches(signal, () => deleteAuditBefore(db, now - auditKeptDays * dayMs, batchRows)),
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
    subjects: await inBatches(AbortSignal.any([signal, AbortSignal.timeout(subjectsMaxMs)]), purgeOrphanSubjects),
  };
  log.info(counts, 'purged what had expired');

  async function purgeOrphanSubjects(enough: AbortSignal): Promise<number> {
    const orphans = await selectOrphanSubjects(db, now - subjectGraceMs, batchRows);
    let taken = 0;
    for (; taken < orphans.length && !enough.aborted; taken += subjectsAtOnce) {
      const ids = orphans.slice(taken, taken + subjectsAtOnce);
      await deleteSamples(db, ...ids);
      await deleteSampleSubjects(db, ...ids);
      // what a roll-up wrote meanwhile; without a subject there can be no more
      await deleteSamples(db, ...ids);
    }
    return Math.min(taken, orphans.length);
  }
}
