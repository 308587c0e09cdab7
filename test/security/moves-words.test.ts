// What the owner of a machine reads of a move that failed: names of hosts, but not how they reach each other, where their
// files lie, or what libvirt says of other people's machines.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { say, type Sentence } from '../../src/errors.ts';
import { LibvirtError } from '../../src/libvirt/errors.ts';
import { explainMigrateError } from '../../src/operations/migrate-domain.ts';
import { catalogue, sentenceFor, translator } from '../../src/web/locales/index.ts';

const secret = 'qemu+tls://10.99.0.7:16514/system';
const to = { name: 'kvm2', uri: secret, migrationUri: null };
const messages = [
  `unable to connect to server at '${secret}': Connection refused`, `authentication failed: Failed to verify ${secret}`, `lost connection to ${secret}`,
  `guest CPU doesn't match ${secret}`, `operation failed: domain 'i-0001-somebody' is already on ${secret}`,
];

describe('a move that failed, as its owner reads it', () => {
  for (const message of messages) {
    it(message.replace(secret, '…'), () => {
      const sentence = explainMigrateError(new LibvirtError(38, 7, message, 'DOMAIN_MIGRATE_PERFORM3_PARAMS'), { name: 'kvm1' }, to);
      for (const language of ['en', 'zh-TW'] as const) {
        const text = sentenceFor('user', translator(language), sentence);
        assert.doesNotMatch(text, /10\.99|somebody|qemu\+/);
        assert.match(text, /kvm2/);
        assert.doesNotMatch(text, /\{\{/);
      }
    });
  }

  it('shows an admin where the other host was looked for', () => {
    const sentence = explainMigrateError(new LibvirtError(38, 7, messages[0] ?? '', 'DOMAIN_MIGRATE_PERFORM3_PARAMS'), { name: 'kvm1' }, to);
    assert.ok(sentenceFor('admin', translator('en'), sentence).includes(secret));
  });

  it('holds for every sentence about moves that has a place in it', () => {
    const keys = Object.entries(catalogue).filter(([key, [en]]) => key.startsWith('migration.') && /\{\{(?:address|path)\}\}/.test(en)).map(([key]) => key);
    assert.ok(keys.length > 0);
    for (const key of keys) {
      const sentence: Sentence = say(key, { address: secret, path: '/srv/secret', from: 'a', to: 'b', host: 'a', pool: 'p' });
      for (const role of ['user', undefined] as const) assert.doesNotMatch(sentenceFor(role, translator('en'), sentence), /10\.99|srv/);
    }
  });
});
