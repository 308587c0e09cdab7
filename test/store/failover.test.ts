// Two SQL nodes in front of one database: one dies, hangs, comes back; answers to COMMIT get lost. Whoever works sees nothing of
// it, nothing is lost, and nothing is done twice.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../src/errors.ts';
import { isDuplicateKey, openDatabase, purgeTransactionMarks, type Database } from '../../src/store/db.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { startSqlProxy, type Fate, type SqlProxy } from '../helpers/sql-proxy.ts';

let real: TestDatabase;
let first: SqlProxy;
let second: SqlProxy;
let db: Database;

before(async () => {
  real = await createTestDatabase();
  first = await startSqlProxy(real.url);
  second = await startSqlProxy(real.url);
  db = openDatabase([first.url, second.url]);
});
after(async () => {
  await db?.close();
  await first?.close();
  await second?.close();
  await real?.close();
});
beforeEach(async () => {
  first.fate = second.fate = () => 'pass';
  await real.db.execute('DELETE FROM jobs');
  // a counter: `lease_until` of a job is a number like any other
  await real.db.execute("INSERT INTO jobs (name, lease_until) VALUES ('counter', 0)");
});

const count = async (): Promise<number> => Number((await real.db.query<{ n: number }>("SELECT lease_until AS n FROM jobs WHERE name = 'counter'"))[0]?.n);
const increment = (): Promise<unknown> => db.execute("UPDATE jobs SET lease_until = lease_until + 1 WHERE name = 'counter'");
const works = async (proxy: SqlProxy): Promise<boolean> => {
  const before = proxy.seen.count;
  await db.query('SELECT 1 AS one');
  return proxy.seen.count > before;
};
async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await condition()); await delay(50)) assert.ok(Date.now() < deadline, `still not: ${what}`);
}

/** Readers and writers at work while `trouble` happens; how many were done and the longest anybody waited. */
async function underLoad(trouble: () => Promise<void>): Promise<{ increments: number; inserted: string[]; longestMs: number }> {
  let stop = false;
  const done = { increments: 0, inserted: [] as string[], longestMs: 0 };
  const worker = async (work: () => Promise<unknown>): Promise<void> => {
    while (!stop) {
      const began = performance.now();
      await work();
      done.longestMs = Math.max(done.longestMs, performance.now() - began);
    }
  };
  const workers = [
    ...[1, 2, 3].map(() => worker(() => db.query('SELECT name FROM jobs'))),
    ...[1, 2, 3].map(() => worker(async () => { await increment(); done.increments++; })),
    ...[1, 2].map(() => worker(async () => {
      const name = randomUUID().slice(0, 30);
      await db.transaction((tx) => tx.execute('INSERT INTO jobs (name) VALUES (?)', [name]));
      done.inserted.push(name);
    })),
  ];
  await delay(200);
  await Promise.race([trouble(), ...workers]).finally(() => { stop = true; });
  await Promise.all(workers);
  assert.equal(await count(), done.increments);
  const rows = await real.db.query<{ name: string }>("SELECT name FROM jobs WHERE name <> 'counter' ORDER BY name");
  assert.deepEqual(rows.map(({ name }) => name), [...done.inserted].sort());
  return done;
}

describe('two SQL nodes', () => {
  it('the first does the work while it lives', async () => {
    assert.ok(await works(first));
    assert.ok(!(await works(second)));
  });

  it('one that dies under load is made good by the other, and used again when it is back', async (t) => {
    const { increments, longestMs } = await underLoad(async () => {
      await first.kill();
      await delay(1500);
      assert.ok(await works(second));
      await first.revive();
      await until('back at the first', () => works(first));
    });
    t.diagnostic(`${increments} increments, the longest wait ${Math.round(longestMs)} ms`);
    assert.ok(longestMs < 6000);
  });

  it('one that hangs under load holds up nobody for long, and is used again when it goes on', async (t) => {
    const { increments, longestMs } = await underLoad(async () => {
      first.freeze();
      await until('the second does the work', () => works(second));
      first.thaw();
      await until('back at the first', () => works(first));
    });
    t.diagnostic(`${increments} increments, the longest wait ${Math.round(longestMs)} ms`);
    assert.ok(longestMs < 15_000);
  });

  it('both gone: a sentence within seconds, and work again once one is back', async () => {
    await first.kill();
    await second.kill();
    const began = performance.now();
    await assert.rejects(() => db.query('SELECT 1'), (error) => error instanceof AppError && error.kind === 'host-unavailable');
    assert.ok(performance.now() - began < 15_000);
    await second.revive();
    // whatever the pauses between the attempts of each
    await Promise.all(Array.from({ length: 20 }, () => db.query('SELECT 1')));
    await first.revive();
    await until('back at the first', () => works(first));
  });
});

describe('a COMMIT without an answer', () => {
  /** Every transaction's first COMMITs have this fate, each later one passes. */
  function attack(fates: readonly Fate[]): { attacked: () => number } {
    const met = new Map<string, number>();
    first.fate = second.fate = (mark) => {
      const nth = met.get(mark) ?? 0;
      met.set(mark, nth + 1);
      return fates[nth] ?? 'pass';
    };
    return { attacked: () => met.size };
  }

  for (const fates of [['lost'], ['unheard'], ['cut'], ['lost', 'unheard'], ['cut', 'cut']] as const) {
    it(`${fates.join(', then ')}: it is done once`, async () => {
      const { attacked } = attack(fates);
      await Promise.all(Array.from({ length: 20 }, () => increment()));
      await Promise.all(Array.from({ length: 20 }, () => db.transaction((tx) => tx.execute("UPDATE jobs SET lease_until = lease_until + 1 WHERE name = 'counter'"))));
      assert.equal(await count(), 40);
      assert.equal(attacked(), 40);
    });
  }

  it('its maker hears what it did, and not what a second time would have found', async () => {
    attack(['unheard']);
    const claim = await db.execute("UPDATE jobs SET lease_owner = 'me' WHERE name = 'counter' AND lease_owner IS NULL");
    assert.equal(claim.affectedRows, 1, 'a claim that was made is known to be made');
    assert.equal((await db.execute("INSERT INTO jobs (name) VALUES ('new')")).affectedRows, 1, 'a new row is not a duplicate of itself');
    assert.equal((await db.execute("DELETE FROM jobs WHERE name = 'new'")).affectedRows, 1);
    await db.execute("INSERT INTO jobs (name) VALUES ('other')");
    await assert.rejects(() => db.execute("INSERT INTO jobs (name) VALUES ('other')"), isDuplicateKey, 'that of another is');
  });

  it('that arrives late, when the work is being done anew, is done once', async () => {
    let late = '';
    first.fate = (mark) => {
      late ||= mark;
      first.freeze();
      return 'pass'; // it is on its way, in a node that hangs
    };
    const written = increment();
    await until('the COMMIT is on its way', () => Promise.resolve(late !== ''));
    await delay(6000);
    first.thaw();
    await written;
    assert.equal(await count(), 1);
    await until('back at the first', () => works(first));
  });

  it('leaves no mark behind for long', async () => {
    await increment();
    while ((await purgeTransactionMarks(real.db, Date.now() + 60_000, 500)) > 1);
    const [marks] = await real.db.query<{ n: number }>('SELECT COUNT(*) AS n FROM transaction_marks');
    assert.ok(Number(marks?.n) <= 2, String(marks?.n));
  });
});
