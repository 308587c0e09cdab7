// The log at its most talkative: whatever is typed, made or shown once must not stand in it, nor in the audit log.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog } from '../../src/log.ts';
import { createTestDatabase } from '../helpers/database.ts';

describe('the log', () => {
  it('names the statement that failed, without its values', async () => {
    const lines: string[] = [];
    const log = createLog('trace', { write: (line) => void lines.push(line) });
    const { db, close } = await createTestDatabase();
    for (const run of [() => db.query('SELECT ? FROM missing_table', ['s3cret']), () => db.execute('UPDATE missing_table SET x = ?', ['s3cret']), () => db.transaction((tx) => tx.execute('DELETE FROM missing_table WHERE x = ?', ['s3cret']))]) {
      await run().then(() => assert.fail('there is no such table'), (error: unknown) => log.error({ err: error }, 'failed'));
    }
    await close();
    assert.equal(lines.length, 3);
    assert.match(lines[0] ?? '', /SELECT \? FROM missing_table/);
    assert.doesNotMatch(lines.join(''), /s3cret/);
  });
});
