// Measures the database for the administrator's page, which then never waits for a node that does not answer; and takes out
// the marks of transactions that nobody asks for any more.
import type { Config } from '../config.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { selectDatabaseHealth } from '../store/database-health.ts';
import { purgeTransactionMarks } from '../store/db.ts';
import { upsertSnapshot } from '../store/snapshots.ts';

/** A transaction is repeated for 15 s; clocks of portals differ by seconds. Longer: marks pile up. */
const marksKeptMs = 10 * 60_000;
const batchRows = 500;

export async function lookAtDatabase({ db, clock }: Pick<OperationDeps, 'db' | 'clock'>, engine: Config['databaseEngine'], signal: AbortSignal): Promise<void> {
  await upsertSnapshot(db, 'database', await selectDatabaseHealth(db, engine), clock.now());
  while (!signal.aborted && (await purgeTransactionMarks(db, clock.now() - marksKeptMs, batchRows)) === batchRows);
}
