import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { AppError } from '../../src/errors.ts';
import { deleteFlavour, insertFlavour, seedFlavours, selectEnabledFlavours, selectFlavour, selectFlavours, updateFlavour, updateFlavourPositions } from '../../src/store/flavours.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

test('a new cloud gets its flavours once, also from two portals at once', async () => {
  await Promise.all([seedFlavours(database.db), seedFlavours(database.db)]);
  assert.deepEqual((await selectFlavours(database.db)).map((f) => f.name), ['tiny', 'small', 'medium', 'large']);
  for (const flavour of await selectFlavours(database.db)) await deleteFlavour(database.db, flavour.id);
  await seedFlavours(database.db);
  assert.deepEqual(await selectFlavours(database.db), []);
});

test('a seeding that was killed in the middle goes on', async () => {
  await database.db.execute('DELETE FROM settings');
  await seedFlavours(database.db);
  const [first, second] = await selectFlavours(database.db);
  assert.ok(first && second);
  await deleteFlavour(database.db, second.id);
  await database.db.execute('DELETE FROM settings');
  await seedFlavours(database.db);
  assert.equal((await selectFlavours(database.db)).length, 4);
});

test('change, order, disable; a name is taken once', async () => {
  const id = randomUUID();
  const flavour = { id, name: 'huge', vcpus: 16, memoryMib: 65536, diskGib: 500, position: 9, enabled: true };
  await insertFlavour(database.db, flavour);
  await insertFlavour(database.db, flavour);
  assert.deepEqual(await selectFlavour(database.db, id), flavour);
  await assert.rejects(insertFlavour(database.db, { ...flavour, id: randomUUID() }), (e) => e instanceof AppError && e.kind === 'conflict' && e.fields['name'] !== undefined);
  await assert.rejects(updateFlavour(database.db, id, { ...flavour, name: 'tiny' }), (e) => e instanceof AppError && e.kind === 'conflict');
  await updateFlavour(database.db, id, { ...flavour, enabled: false });
  assert.ok(!(await selectEnabledFlavours(database.db)).some((each) => each.id === id));
  const ids = (await selectFlavours(database.db)).map((each) => each.id).reverse();
  await updateFlavourPositions(database.db, ids);
  assert.deepEqual((await selectFlavours(database.db)).map((each) => each.id), ids);
  await deleteFlavour(database.db, id);
  await assert.rejects(selectFlavour(database.db, id), (e) => e instanceof AppError && e.kind === 'not-found');
  await assert.rejects(updateFlavour(database.db, id, flavour), (e) => e instanceof AppError && e.kind === 'not-found');
});
