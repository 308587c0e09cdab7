// The database server itself: what it is, what time it has, how far its schema is. Asked by `scripts/admin doctor`.
import type { Db } from './db.ts';

/** `engineAvailable`: whether tables can be made in that storage engine. */
export async function selectServer(db: Db, engine: string): Promise<{ version: string; engineAvailable: boolean }> {
  const [row] = await db.query<{ version: string; support: string | null }>(
    'SELECT VERSION() AS version, (SELECT SUPPORT FROM information_schema.ENGINES WHERE ENGINE = ?) AS support', [engine]);
  return { version: row?.version ?? '', engineAvailable: row?.support === 'YES' || row?.support === 'DEFAULT' };
}

/** Milliseconds UTC. */
export async function selectServerTime(db: Db): Promise<number> {
  const [row] = await db.query<{ now: string | number }>('SELECT ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS now');
  return Number(row?.now);
}

/** Names of the migrations that have run; none where there is no schema yet. */
export async function selectRanMigrations(db: Db): Promise<Set<string>> {
  const [table] = await db.query("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'migrations'");
  if (table === undefined) return new Set();
  return new Set((await db.query<{ name: string }>('SELECT name FROM migrations')).map((row) => row.name));
}
