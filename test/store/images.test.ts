import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { AppError } from '../../src/errors.ts';
import type { Image } from '../../src/model/image.ts';
import { claimImage, deleteUnusedImage, insertImage, selectEnabledImages, selectImage, selectImageUse, selectImages, updateImage } from '../../src/store/images.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

function image(change: Partial<Image> = {}): Image {
  const id = randomUUID();
  return { id, name: `demo-${id.slice(0, 8)}`, description: '示範 <b>', poolId: randomUUID(), volume: 'demo.qcow2', format: 'qcow2', virtualSizeBytes: 2 ** 40, minMemoryMib: 64, cloudInit: false, enabled: true, createdAt: 5, ...change };
}

async function insertInstance(imageId: string): Promise<void> {
  const id = randomUUID();
  await database.db.execute(
    "INSERT INTO instances (id, user_id, name, state, state_at, image_id, vcpus, memory_mib, disk_gib, mac, subject_id, created_at) VALUES (?, ?, 'vm', 'stopped', 1, ?, 1, 128, 1, ?, 1, 1)",
    [id, randomUUID(), imageId, `52:54:00:${id.slice(0, 2)}:${id.slice(2, 4)}:${id.slice(4, 6)}`],
  );
}

test('insert, read back, change', async () => {
  const one = image();
  await insertImage(database.db, one);
  await insertImage(database.db, one);
  assert.deepEqual(await selectImage(database.db, one.id), one);
  await updateImage(database.db, one.id, { ...one, name: 'other', enabled: false });
  assert.deepEqual(await selectImage(database.db, one.id), { ...one, name: 'other', enabled: false });
  assert.equal((await selectEnabledImages(database.db)).length, 0);
  assert.equal((await selectImages(database.db)).length, 1);
});

test('a name and a volume are taken once, and the error says which', async () => {
  const one = image();
  await insertImage(database.db, one);
  await assert.rejects(insertImage(database.db, image({ name: one.name })), (e) => e instanceof AppError && e.fields['name'] !== undefined);
  await assert.rejects(insertImage(database.db, image({ poolId: one.poolId })), (e) => e instanceof AppError && e.fields['volume'] !== undefined);
});

test('an image in use stays; one that is not goes, and again is no error', async () => {
  const [used, free] = [image(), image()];
  await insertImage(database.db, used);
  await insertImage(database.db, free);
  await insertInstance(used.id);
  assert.equal((await selectImageUse(database.db)).get(used.id), 1);
  assert.equal(await deleteUnusedImage(database.db, used.id), false);
  assert.equal(await deleteUnusedImage(database.db, free.id), true);
  assert.equal(await deleteUnusedImage(database.db, free.id), true);
  await assert.rejects(selectImage(database.db, free.id), (e) => e instanceof AppError && e.kind === 'not-found');
});

test('a deletion waits for a creation that holds the image, and then refuses', async () => {
  const one = image();
  await insertImage(database.db, one);
  let deleted: Promise<boolean> | undefined;
  await database.db.transaction(async (tx) => {
    assert.equal(await claimImage(tx, one.id), true);
    deleted = deleteUnusedImage(database.db, one.id);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const id = randomUUID();
    await tx.execute(
      "INSERT INTO instances (id, user_id, name, state, state_at, image_id, vcpus, memory_mib, disk_gib, mac, subject_id, created_at) VALUES (?, ?, 'vm', 'creating', 1, ?, 1, 128, 1, ?, 1, 1)",
      [id, randomUUID(), one.id, `52:54:00:${id.slice(0, 2)}:${id.slice(2, 4)}:${id.slice(4, 6)}`],
    );
  });
  assert.equal(await deleted, false);
  assert.equal(await claimImage(database.db, randomUUID()), false);
});
