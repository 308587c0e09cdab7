import type { Db } from '../../src/store/db.ts';

/** Notes the most rows that one statement wrote: many at once fail on MySQL Cluster. */
export function watchedDb(db: Db): { readonly watched: Db; readonly most: () => number } {
  let most = 0;
  return {
    most: () => most,
    watched: {
      query: (sql, params) => db.query(sql, params),
      async execute(sql, params) {
        const result = await db.execute(sql, params);
        most = Math.max(most, result.affectedRows);
        return result;
      },
    },
  };
}
