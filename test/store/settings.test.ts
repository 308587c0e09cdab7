import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { randomUUID } from 'node:crypto';
import { defaultSettings } from '../../src/model/settings.ts';
import { selectSettings, selectSettingsVersion, settingsGroups, settingsSchemas, updateSettings } from '../../src/store/settings.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());
beforeEach(async () => {
  await database.db.execute('DELETE FROM settings');
  await updateSettings(database.db, 'power', defaultSettings.power, null, 1);
  await database.db.execute('DELETE FROM settings');
});

test('an empty table gives the defaults, and the defaults hold to their own schemas', async () => {
  assert.deepEqual(await selectSettings(database.db), defaultSettings);
  for (const group of settingsGroups) assert.deepEqual(settingsSchemas[group].parse(defaultSettings[group]), defaultSettings[group]);
});

test('a change is seen by the next read, in spite of the cache', async () => {
  await selectSettings(database.db);
  await updateSettings(database.db, 'prices', { ...defaultSettings.prices, currency: '€', perVcpu: 12.5 }, null, 1000);
  assert.deepEqual((await selectSettings(database.db)).prices, { currency: '€', perVcpu: 12.5, perMemoryGib: 1500, perDiskGib: 1500 });
});

test('a bad row costs its group alone and is reported once', async () => {
  await database.db.execute("INSERT INTO settings (name, value, updated_at) VALUES ('caps', '{\"vcpus\":-1}', 1), ('quota', 'not json', 1), ('power', '{\"shutdownTimeoutSeconds\":90}', 1), ('of-another-release', '1', 1)");
  await updateSettings(database.db, 'site', { ...defaultSettings.site, name: 'Lab' }, null, 2);
  const warned: string[] = [];
  const log = { warn: (details: object) => { warned.push((details as { group: string }).group); } };
  const settings = await selectSettings(database.db, log);
  assert.deepEqual(settings, { ...defaultSettings, site: { ...defaultSettings.site, name: 'Lab' }, power: { shutdownTimeoutSeconds: 90 } });
  await database.db.transaction(async (tx) => selectSettings(tx, log));
  assert.deepEqual(warned, ['caps', 'quota']);
});

test('of two admins who opened the same form, the second is told', async () => {
  const [a, b] = [randomUUID(), randomUUID()];
  const first = await selectSettingsVersion(database.db, 'caps');
  assert.equal(first.version, 0);
  assert.equal(await updateSettings(database.db, 'caps', { vcpus: 2, memoryMib: 1024, diskGib: 10 }, a, 1000, first.version), true);
  assert.equal(await updateSettings(database.db, 'caps', { vcpus: 3, memoryMib: 1024, diskGib: 10 }, b, 1000, first.version), false);
  const second = await selectSettingsVersion(database.db, 'caps');
  assert.equal(second.value.vcpus, 2);
  assert.equal(second.updatedBy, a);
  // in the same millisecond, and the same write once more as after a lost answer
  assert.equal(await updateSettings(database.db, 'caps', { vcpus: 5, memoryMib: 1024, diskGib: 10 }, b, 1000, second.version), true);
  assert.equal(await updateSettings(database.db, 'caps', { vcpus: 5, memoryMib: 1024, diskGib: 10 }, b, 1000, second.version), true);
  assert.equal(await updateSettings(database.db, 'caps', { vcpus: 6, memoryMib: 1024, diskGib: 10 }, a, 1000, second.version), false);
  assert.equal((await selectSettings(database.db)).caps.vcpus, 5);
});

test('what does not hold to the schema is never stored', async () => {
  const bad = { ...defaultSettings.thresholds, cpuPercent: { close: 80, open: 80 } };
  await assert.rejects(updateSettings(database.db, 'thresholds', bad, null, 1));
  await assert.rejects(updateSettings(database.db, 'caps', { vcpus: 1.5, memoryMib: 1024, diskGib: 1 }, null, 1));
  await assert.rejects(updateSettings(database.db, 'prices', { ...defaultSettings.prices, perVcpu: Number.NaN }, null, 1));
  assert.deepEqual(await selectSettings(database.db), defaultSettings);
});

test('thresholds stored before they had a hold time keep their values and get the standard one', async () => {
  const { holdSeconds, ...before } = { ...defaultSettings.thresholds, cpuPercent: { close: 77, open: 66 } };
  await database.db.execute("REPLACE INTO settings (name, value, updated_at) VALUES ('thresholds', ?, 1)", [JSON.stringify(before)]);
  assert.deepEqual((await selectSettingsVersion(database.db, 'thresholds')).value, { ...before, holdSeconds });
});
