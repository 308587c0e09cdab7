import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  claimContactMessageAnswer, countContactMessages, insertContactMessage, selectContactMessage, selectContactMessages,
  updateContactMessageAnswerMailed, updateContactMessageMailed, updateContactMessageRead,
} from '../../src/store/contact-messages.ts';
import { contactLimits } from '../../src/model/contact-message.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

test('a message of the greatest length at 4 bytes a character fits', async () => {
  const id = randomUUID();
  const body = '😀'.repeat(contactLimits.body);
  await insertContactMessage(database.db, { id, at: 1, userId: null, name: '林', email: 'a@b.tw', subject: '😀'.repeat(200), body });
  assert.equal((await selectContactMessage(database.db, id)).body, body);
});

test('unread until opened, not mailed until mailed, answered once', async () => {
  const [id, admin, other] = [randomUUID(), randomUUID(), randomUUID()];
  const before = await countContactMessages(database.db);
  await insertContactMessage(database.db, { id, at: 2, userId: admin, name: 'n', email: 'e@x.org', subject: 's', body: 'b' });
  await updateContactMessageMailed(database.db, id, 5, 'connect ECONNREFUSED');
  assert.deepEqual(await countContactMessages(database.db), { all: before.all + 1, unread: before.unread + 1, notMailed: before.notMailed + 1 });
  await updateContactMessageRead(database.db, id, 7);
  await updateContactMessageRead(database.db, id, 9);
  await updateContactMessageMailed(database.db, id, 8, null);
  assert.deepEqual(await countContactMessages(database.db), { all: before.all + 1, unread: before.unread, notMailed: before.notMailed });
  assert.equal(await claimContactMessageAnswer(database.db, id, '好', admin, 10), true);
  assert.equal(await claimContactMessageAnswer(database.db, id, '好', admin, 10), true, 'a repeated write');
  assert.equal(await claimContactMessageAnswer(database.db, id, 'no', other, 11), false);
  await updateContactMessageAnswerMailed(database.db, id, 12, null);
  const message = await selectContactMessage(database.db, id);
  assert.deepEqual([message.readAt, message.mailedAt, message.mailError, message.answer, message.answeredBy, message.answerMailedAt], [7, 8, null, '好', admin, 12]);
  assert.equal((await selectContactMessages(database.db, { limit: 1, offset: 0 }))[0]?.id, id);
});
