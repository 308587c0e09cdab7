// Many requests at once, room for few: exactly as many succeed as there is room for.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { AppError } from '../../src/errors.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { createCloud, type Cloud, type CloudOptions } from '../helpers/cloud.ts';

const requests = 100;
let cloud: Cloud | undefined;
afterEach(async () => {
  await cloud?.close();
  cloud = undefined;
});

async function race(options: CloudOptions, prepare: (cloud: Cloud) => Promise<void> = () => Promise.resolve()): Promise<Record<string, number>> {
  cloud = await createCloud(options);
  await updateSettings(cloud.db, 'overcommit', { vcpus: 1, memory: 1, disk: 1 }, null, Date.now());
  await prepare(cloud);
  const one = cloud;
  const results = await Promise.allSettled(Array.from({ length: requests }, (_, index) => one.create(`vm-${index}`)));
  const outcomes: Record<string, number> = {};
  for (const result of results) {
    const outcome = result.status === 'fulfilled' ? 'created' : result.reason instanceof AppError ? result.reason.kind : String(result.reason);
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  one.startRunner();
  for (const result of results) if (result.status === 'fulfilled') assert.equal((await one.ended(result.value.operation.id)).state, 'done');
  await one.checkBooks();
  return outcomes;
}

describe('a hundred requests at once', () => {
  it('get one instance where the quota has room for one', async () => {
    assert.deepEqual(await race({ quota: 1 }), { created: 1, 'quota-exceeded': 99 });
  });

  it('get one instance where the only host has room for one', async () => {
    assert.deepEqual(await race({ cpus: 1 }), { created: 1, 'no-capacity': 99 });
  });

  it('get one instance where the pool has room for one', async () => {
    const outcomes = await race({}, async ({ db }) => void (await db.execute('UPDATE storage_pools SET capacity_bytes = ?', [3 * 1024 ** 3])));
    assert.deepEqual(outcomes, { created: 1, 'no-capacity': 99 });
  });

  it('fill three hosts to the last place', async () => {
    assert.deepEqual(await race({ fakes: [{}, {}, {}], cpus: 4 }), { created: 12, 'no-capacity': 88 });
  });

  it('get one instance of one name', async () => {
    cloud = await createCloud();
    const one = cloud;
    const results = await Promise.allSettled(Array.from({ length: requests }, () => one.create('same')));
    assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
    for (const result of results) if (result.status === 'rejected') assert.ok((result.reason as AppError).fields['name'] !== undefined);
    one.startRunner();
    for (const result of results) if (result.status === 'fulfilled') await one.ended(result.value.operation.id);
    await one.checkBooks();
  });
});
