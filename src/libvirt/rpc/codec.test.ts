import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { array, charArray, int, optional, string, struct } from './codec.ts';
import { domainStats } from './wire-types.ts';
import { XdrError, XdrReader, XdrWriter } from './xdr.ts';

describe('codecs', () => {
  it('give back a struct as it was written', () => {
    const codec = struct({ a: int, b: optional(string), c: array(struct({ d: string }), 10), e: charArray(8) });
    const value = { a: -1, b: null, c: [{ d: 'x' }, { d: 'y' }], e: 'EPYC' };
    const writer = new XdrWriter();
    codec.write(writer, value);
    assert.deepEqual(codec.read(new XdrReader(writer.finish())), value);
  });

  it('keep every kind of typed parameter', () => {
    const writer = new XdrWriter();
    domainStats.write(writer, {
      domain: { name: 'a', uuid: 'c7a5fdbd-edaf-9455-926a-d65c16db1809', id: 1 },
      params: {
        i: { type: 'int', value: -1 }, u: { type: 'uint', value: 4_294_967_295 }, l: { type: 'llong', value: -(2n ** 60n) }, ul: { type: 'ullong', value: 2n ** 64n - 1n },
        d: { type: 'double', value: 1.5 }, b: { type: 'boolean', value: true }, s: { type: 'string', value: '中' },
      },
    });
    assert.deepEqual(domainStats.read(new XdrReader(writer.finish())).params, { i: -1, u: 4_294_967_295, l: -(2n ** 60n), ul: 2n ** 64n - 1n, d: 1.5, b: true, s: '中' });
  });

  it('read the same in turns as at once, and let others have the event loop', async () => {
    const codec = struct({ numbers: array(int, 1_000_000) });
    const writer = new XdrWriter(0, 4_000_004);
    codec.write(writer, { numbers: Array.from({ length: 1_000_000 }, (_, i) => i) });
    const bytes = writer.finish();
    let rounds = 0;
    let reading = true;
    const count = () => { rounds += 1; if (reading) setImmediate(count); };
    setImmediate(count);
    const value = await codec.readInTurns?.(new XdrReader(bytes));
    reading = false;
    assert.deepEqual(value, codec.read(new XdrReader(bytes)));
    assert.ok(rounds > 3, `${rounds} rounds of the event loop`);
  });

  it('refuse an array of items without bytes', () => {
    assert.throws(() => array(struct({}), 10), XdrError);
  });
});
