import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NameCache, XdrError, XdrReader, XdrWriter } from './xdr.ts';

function written(write: (writer: XdrWriter) => void): Buffer {
  const writer = new XdrWriter(0, 8);
  write(writer);
  return writer.finish();
}

describe('XDR', () => {
  it('writes big endian, padded to four bytes', () => {
    assert.equal(written((w) => { w.int(-2); w.string('abcde'); w.bool(true); }).toString('hex'), 'fffffffe00000005616263646500000000000001');
  });

  const numbers: [name: 'hyper' | 'uhyper', value: number | bigint][] = [
    ['hyper', 0], ['hyper', -1], ['hyper', Number.MAX_SAFE_INTEGER], ['hyper', Number.MIN_SAFE_INTEGER], ['hyper', -(2n ** 63n)], ['hyper', 2n ** 63n - 1n],
    ['uhyper', 0], ['uhyper', 4_294_967_296], ['uhyper', Number.MAX_SAFE_INTEGER], ['uhyper', 2n ** 53n], ['uhyper', 2n ** 64n - 1n],
  ];
  for (const [name, value] of numbers) {
    it(`keeps ${name} ${value} exact`, () => {
      assert.equal(new XdrReader(written((w) => w[name](value)))[name](), value);
    });
  }

  it('reads back what it wrote', () => {
    const reader = new XdrReader(written((w) => { w.string('虛擬機器'); w.double(0.1); w.uuid('c7a5fdbd-edaf-9455-926a-d65c16db1809'); w.opaque(Buffer.from([1, 2, 3])); }));
    assert.equal(reader.string(), '虛擬機器');
    assert.equal(reader.double(), 0.1);
    assert.equal(reader.uuid(), 'c7a5fdbd-edaf-9455-926a-d65c16db1809');
    assert.deepEqual(reader.opaque(), Buffer.from([1, 2, 3]));
    reader.end();
  });

  const lies: [name: string, hex: string, read: (reader: XdrReader) => unknown][] = [
    ['an int that is cut', '0000', (r) => r.int()],
    ['a string longer than the message', '00000010616263', (r) => r.string()],
    ['a string past the cap', 'ffffffff', (r) => r.string()],
    ['a string past a cap of its own', '0000000561626364650000', (r) => r.string(4)],
    ['padding that is missing', '0000000161', (r) => r.string()],
    ['more items than the message can hold', '00003fff00000000', (r) => r.count(16_384, 4)],
    ['more items than the cap', '00000003000000000000000000000000', (r) => r.count(2, 4)],
    ['a UUID that is cut', '00112233', (r) => r.uuid()],
    ['bytes left over', '00000000', (r) => r.end()],
  ];
  for (const [name, hex, read] of lies) {
    it(`refuses ${name}`, () => assert.throws(() => read(new XdrReader(Buffer.from(hex, 'hex'))), XdrError));
  }

  it('refuses to write what is not a UUID', () => {
    assert.throws(() => written((w) => w.uuid('c7a5fdbd')), XdrError);
  });

  it('gives repeated names as one string, also when their order changes', () => {
    const names = new NameCache();
    const lists = [['a.1', 'b.1', 'c.1'], ['a.1', 'c.1', 'b.1'], ['a.1', 'b.1', 'c.1', 'd.1'], ['d.1', 'a.1']];
    for (const list of lists) {
      const reader = new XdrReader(written((w) => list.forEach((name) => w.string(name))));
      assert.deepEqual(list.map(() => reader.name(names)), list);
    }
  });

  it('does not remember names without end', () => {
    const names = new NameCache(2, 4);
    for (const name of ['aa', 'bb', 'cc', 'toolong', 'aa', 'cc']) {
      assert.equal(new XdrReader(written((w) => w.string(name))).name(names), name);
    }
  });
});
