import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseForm } from '../forms.ts';
import { draftText, reviewForm, sizeInButton, sizeOf, withSize } from './wizard-form.ts';

const good = { instanceId: crypto.randomUUID(), name: 'vm-1', imageId: crypto.randomUUID(), vcpus: '1', memoryMib: '512', diskGib: '4', ha: '', haPriority: '1', antiAffinity: '', sshKey: '', userData: '' };
const newId = (): string => crypto.randomUUID();
const ed25519 = `ssh-ed25519 ${'A'.repeat(68)}`;

const cases: readonly { readonly field: keyof typeof good; readonly text: string; readonly complaint?: string; readonly value?: unknown }[] = [
  { field: 'name', text: 'a' }, { field: 'name', text: 'A-b-9' }, { field: 'name', text: 'x'.repeat(32) },
  { field: 'name', text: '', complaint: 'form.required' }, { field: 'name', text: 'x'.repeat(33), complaint: 'form.too-long' },
  ...['-a', 'a-', 'a b', 'a.b', 'a_b', 'ä', '../x', 'a\u202eb', '<b>'].map((text) => ({ field: 'name' as const, text, complaint: 'instances.new.bad-name' })),
  { field: 'name', text: 'a\nb', complaint: 'form.bad-characters' },
  { field: 'vcpus', text: ' 2 ', value: 2 }, { field: 'vcpus', text: '1e3', complaint: 'form.not-a-number' }, { field: 'vcpus', text: '0x10', complaint: 'form.not-a-number' },
  { field: 'vcpus', text: '-1', complaint: 'form.too-small' }, { field: 'memoryMib', text: '99999999999', complaint: 'form.too-big' }, { field: 'diskGib', text: '1.5', complaint: 'form.not-whole' },
  { field: 'imageId', text: "' OR 1=1", complaint: 'form.not-an-id' }, { field: 'instanceId', text: 'x', complaint: 'form.not-an-id' },
  { field: 'sshKey', text: ed25519 }, { field: 'sshKey', text: `${ed25519} me@home\r\n\r\n ${ed25519} two words \r\n`, value: `${ed25519} me@home\n${ed25519} two words` },
  { field: 'sshKey', text: `sk-ssh-ed25519@openssh.com ${'A'.repeat(80)}` }, { field: 'sshKey', text: `ecdsa-sha2-nistp256 ${'A'.repeat(100)}==` },
  { field: 'sshKey', text: 'ssh-ed25519', complaint: 'instances.new.bad-ssh-key' }, { field: 'sshKey', text: `${ed25519}名前`, complaint: 'instances.new.bad-ssh-key' },
  { field: 'sshKey', text: `-----BEGIN OPENSSH PRIVATE KEY-----\n${'A'.repeat(70)}`, complaint: 'instances.new.bad-ssh-key' },
  { field: 'sshKey', text: `command="rm" ${ed25519}`, complaint: 'instances.new.bad-ssh-key' }, { field: 'sshKey', text: 'x'.repeat(4001), complaint: 'form.too-long' },
  { field: 'userData', text: '#cloud-config\npackages: [vim]' }, { field: 'userData', text: '#!/bin/sh\necho 1' }, { field: 'userData', text: 'Content-Type: multipart/mixed; boundary="x"' },
  { field: 'antiAffinity', text: 'Web-1', value: 'web-1' }, { field: 'antiAffinity', text: '', value: null }, { field: 'antiAffinity', text: '-web', complaint: 'instances.options.bad-group' },
  { field: 'haPriority', text: '0', value: 0 }, { field: 'haPriority', text: '3', complaint: 'form.not-a-choice' }, { field: 'ha', text: 'on', value: true },
  { field: 'userData', text: 'packages: [vim]', complaint: 'instances.new.bad-user-data' },
  { field: 'userData', text: `#!${'字'.repeat(6000)}`, complaint: 'form.too-long' },
];

describe('the last form of the wizard', () => {
  for (const { field, text, complaint, value } of cases) {
    it(`${complaint === undefined ? 'takes' : 'refuses'} ${field} ${JSON.stringify(text.slice(0, 40))}`, () => {
      const result = parseForm(reviewForm, { ...good, [field]: text });
      assert.equal(result.ok ? undefined : result.fields[field]?.key, complaint);
      if (result.ok && value !== undefined) assert.equal(result.value[field], value);
    });
  }
});

describe('a draft', () => {
  it('has every field as text, and an id from the beginning', () => {
    const draft = draftText({ name: 'x', other: 'dropped' }, newId);
    assert.deepEqual({ ...draft, instanceId: '' }, { instanceId: '', name: 'x', imageId: '', vcpus: '', memoryMib: '', diskGib: '', ha: '', haPriority: '1', antiAffinity: '', sshKey: '', userData: '' });
    assert.match(draft.instanceId, /^[0-9a-f-]{36}$/);
    assert.equal(draftText({ instanceId: 'kept' }, newId).instanceId, 'kept');
  });

  it('tells its size, NaN where there is none', () => {
    assert.deepEqual(sizeOf({ vcpus: '2', memoryMib: ' 512 ', diskGib: '1e3' }), { vcpus: 2, memoryMib: 512, diskGib: Number.NaN });
    assert.deepEqual(sizeOf({}), { vcpus: Number.NaN, memoryMib: Number.NaN, diskGib: Number.NaN });
    assert.deepEqual(sizeOf(withSize(draftText({}, newId), { vcpus: 1, memoryMib: 2, diskGib: 3 })), { vcpus: 1, memoryMib: 2, diskGib: 3 });
  });

  it('takes a size from a button, and nothing else', () => {
    assert.deepEqual(sizeInButton('1,2048,20'), { vcpus: 1, memoryMib: 2048, diskGib: 20 });
    for (const value of [undefined, '', '1,2', '1,2,3,4', '1,-2,3', 'a,b,c', '1,2,999999999']) assert.equal(sizeInButton(value), undefined);
  });
});
