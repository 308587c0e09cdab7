// A database that knows which of its writes are still without an answer. While MySQL Cluster commits a transaction it shows its rows
// one after the other: a test that has seen one of them waits for the answer before it looks at the others.
import type { Database, Db } from '../../src/store/db.ts';

export interface AnsweredDatabase extends Database {
  /** until what is being written now has been answered */
  answered(): Promise<void>;
}

export function withAnswers(db: Database): AnsweredDatabase {
  const open = new Set<Promise<void>>();
  const noted = <T>(work: Promise<T>): Promise<T> => {
    const ended: Promise<void> = work.then(() => undefined, () => undefined).finally(() => open.delete(ended));
    open.add(ended);
    return work;
  };
  return {
    ...db,
    transaction: <T>(work: (tx: Db) => Promise<T>) => noted(db.transaction(work)),
    execute: (sql, params) => noted(db.execute(sql, params)),
    answered: async () => void (await Promise.all(open)),
  };
}
