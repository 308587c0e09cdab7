// Every COMMIT of a portal meets a fate: it never arrives, it is done and nobody hears of it, or it is cut on its way. People
// create, start, stop and delete meanwhile; afterwards the books are right, and nobody was told of any of it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openDatabase } from '../../src/store/db.ts';
import { createCloud, type Cloud } from '../helpers/cloud.ts';
import { startSqlProxy, type Fate, type SqlProxy } from '../helpers/sql-proxy.ts';

const fates: readonly Fate[] = ['lost', 'unheard', 'cut'];

describe('a portal whose COMMITs get no answer', () => {
  let cloud: Cloud;
  const proxies: SqlProxy[] = [];
  const met = new Map<string, number>();
  before(async () => {
    cloud = await createCloud({
      fakes: [{}, {}],
      async reach(url) {
        proxies.push(await startSqlProxy(url), await startSqlProxy(url));
        for (const proxy of proxies) proxy.fate = decide;
        return openDatabase(proxies.map((proxy) => proxy.url));
      },
    });
    cloud.startRunner();
  });
  after(async () => {
    await cloud?.close();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  });

  /** The first COMMIT of every transaction is attacked, the next passes. */
  function decide(mark: string): Fate {
    const nth = met.get(mark) ?? 0;
    met.set(mark, nth + 1);
    return nth === 0 ? (fates[met.size % fates.length] ?? 'pass') : 'pass';
  }

  it('creates, starts, stops and deletes, each once', async (t) => {
    const made = await Promise.all(Array.from({ length: 6 }, (_, index) => cloud.create(`vm-${index}`)));
    for (const { operation } of made) assert.deepEqual([(await cloud.ended(operation.id)).state, (await cloud.ended(operation.id)).error], ['done', null]);
    await cloud.checkBooks();
    for (const action of ['force-off', 'start', 'delete'] as const) {
      const some = action === 'delete' ? made.slice(0, 3) : made;
      const operations = await Promise.all(some.map(({ instance }) => cloud.act(instance.id, action)));
      for (const { id } of operations) assert.deepEqual([(await cloud.ended(id)).state, (await cloud.ended(id)).error], ['done', null], action);
      await cloud.checkBooks();
    }
    const [user] = await cloud.db.query<{ n: number }>('SELECT used_instances AS n FROM users WHERE id = ?', [cloud.user.id]);
    assert.equal(user?.n, 3);
    t.diagnostic(`${met.size} transactions attacked`);
    assert.ok(met.size > 50);
  });
});
