import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { say } from '../../src/errors.ts';
import type { Database } from '../../src/store/db.ts';
import { deleteIncidentsResolvedBefore, insertIncidents, updateIncidentSentence, updateIncidentsResolved, updateIncidentsTold, selectIncident, selectIncidentsToTell } from '../../src/store/incidents.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { watchedDb } from '../helpers/watched-db.ts';

let database: TestDatabase;
let db: Database;
before(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
after(() => database.close());

async function insertOne(at: number): Promise<string> {
  const id = randomUUID();
  await insertIncidents(db, [{ id, ruleId: randomUUID(), condition: 'host.unreachable', subject: { kind: 'host', id: 'h', name: 'kvm1' }, severity: 'critical', sentence: say('alerts.nothing-known'), openedAt: at }], at);
  return id;
}

describe('an incident', () => {
  it('goes with its history, however long that is, and never many rows in a statement', async () => {
    const [old, young] = [await insertOne(1000), await insertOne(5000)];
    for (let i = 0; i < 25; i++) await updateIncidentSentence(db, old, say('alerts.nothing-known', { i }), 1000 + i);
    await updateIncidentsResolved(db, [old, young], 'good', 6000);
    const { watched, most } = watchedDb(db);
    assert.equal(await deleteIncidentsResolvedBefore(watched, 7000, 10), 2);
    assert.ok(most() <= 10, String(most()));
    assert.deepEqual(await db.query('SELECT id FROM incident_events'), []);
    assert.deepEqual(await db.query('SELECT id FROM incidents'), []);
  });

  it('that was told once stays so when nobody wants to hear the next of it', async () => {
    const id = await insertOne(1000);
    await updateIncidentsTold(db, await selectIncidentsToTell(db, 10), 2000);
    await updateIncidentSentence(db, id, say('alerts.nothing-known', { i: 1 }), 3000);
    await updateIncidentsTold(db, await selectIncidentsToTell(db, 10), null);
    assert.deepEqual([(await selectIncident(db, id)).toldAt, await selectIncidentsToTell(db, 10)], [2000, []]);
  });
});
