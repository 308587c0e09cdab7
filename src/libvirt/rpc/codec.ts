// How one value of a message is read and written. The table of procedures is built of these, so that each message is
// described once and can be read by either side (the product reads replies, the test suite's daemon reads calls).
import { stringMaxBytes, XdrError, type XdrReader, type XdrWriter } from './xdr.ts';
import { takeTurn, turnIsSpent } from './turns.ts';

export interface Codec<Out, In = Out> {
  /** fewest bytes one value takes on the wire */
  readonly minBytes: number;
  read(reader: XdrReader): Out;
  write(writer: XdrWriter, value: In): void;
  /** the same as read, giving the event loop back every few milliseconds; only for what can be large */
  readInTurns?(reader: XdrReader): Promise<Out>;
}
export type Out<C> = C extends Codec<infer O, infer _I> ? O : never;
export type In<C> = C extends Codec<infer _O, infer I> ? I : never;
export type AnyCodec = Codec<unknown>;

export const int: Codec<number> = { minBytes: 4, read: (r) => r.int(), write: (w, v) => w.int(v) };
export const uint: Codec<number> = { minBytes: 4, read: (r) => r.uint(), write: (w, v) => w.uint(v) };
export const bool: Codec<boolean> = { minBytes: 4, read: (r) => r.bool(), write: (w, v) => w.bool(v) };
/** 64 bits, kept exact: a bigint past 2^53 */
export const uhyper: Codec<number | bigint> = { minBytes: 8, read: (r) => r.uhyper(), write: (w, v) => w.uhyper(v) };
/** 64 bits of which the product needs no more than 2^53: sizes in bytes, times, versions */
export const size: Codec<number> = { minBytes: 8, read: (r) => Number(r.uhyper()), write: (w, v) => w.uhyper(v) };
export const signedSize: Codec<number> = { minBytes: 8, read: (r) => Number(r.hyper()), write: (w, v) => w.hyper(v) };
export const string: Codec<string> = { minBytes: 4, read: (r) => r.string(), write: (w, v) => w.string(v) };
export const uuid: Codec<string> = { minBytes: 16, read: (r) => r.uuid(), write: (w, v) => w.uuid(v) };
export const opaque: Codec<Buffer, Uint8Array> = { minBytes: 4, read: (r) => r.opaque(stringMaxBytes), write: (w, v) => w.opaque(v) };

/** `char field[length]`: every character is an int of its own on the wire, ended by a zero */
export function charArray(length: number): Codec<string> {
  return {
    minBytes: length * 4,
    read(reader) {
      const codes = Array.from({ length }, () => reader.int() & 0xff);
      const end = codes.indexOf(0);
      return String.fromCharCode(...codes.slice(0, end < 0 ? length : end));
    },
    write(writer, value) {
      for (let i = 0; i < length; i++) writer.int(i < length - 1 && i < value.length ? value.charCodeAt(i) & 0xff : 0);
    },
  };
}

export function optional<O, I>(item: Codec<O, I>): Codec<O | null, I | null> {
  return {
    minBytes: 4,
    read: (reader) => (reader.bool() ? item.read(reader) : null),
    write(writer, value) {
      writer.bool(value !== null);
      if (value !== null) item.write(writer, value);
    },
  };
}

/** `item<maxItems>`; read in turns when the message is large */
export function array<O, I>(item: Codec<O, I>, maxItems: number): Codec<O[], readonly I[]> {
  // An item of no bytes would let four bytes announce any number of items.
  if (item.minBytes === 0) throw new XdrError('array of nothing');
  return {
    minBytes: 4,
    read(reader) {
      const items: O[] = [];
      for (let left = reader.count(maxItems, item.minBytes); left > 0; left--) items.push(item.read(reader));
      return items;
    },
    async readInTurns(reader) {
      const items: O[] = [];
      let endsAt = await takeTurn();
      for (let left = reader.count(maxItems, item.minBytes); left > 0; left--) {
        items.push(item.read(reader));
        if (turnIsSpent(endsAt)) endsAt = await takeTurn();
      }
      return items;
    },
    write(writer, values) {
      writer.uint(values.length);
      for (const value of values) item.write(writer, value);
    },
  };
}

type Fields = Readonly<Record<string, AnyCodec>>;
type StructOut<F extends Fields> = { readonly [K in keyof F]: Out<F[K]> };
type StructIn<F extends Fields> = { readonly [K in keyof F]: In<F[K]> };

/** Fields in the order they are written here, which is the order on the wire. */
export function struct<F extends Fields>(fields: F): Codec<StructOut<F>, StructIn<F>> {
  const entries = Object.entries(fields);
  const codec: Codec<StructOut<F>, StructIn<F>> = {
    minBytes: entries.reduce((sum, [, field]) => sum + field.minBytes, 0),
    read(reader) {
      const value: Record<string, unknown> = {};
      for (const [name, field] of entries) value[name] = field.read(reader);
      return value as StructOut<F>;
    },
    write(writer, value) {
      for (const [name, field] of entries) field.write(writer, (value as Record<string, unknown>)[name]);
    },
  };
  if (entries.some(([, field]) => field.readInTurns !== undefined)) {
    codec.readInTurns = async (reader) => {
      const value: Record<string, unknown> = {};
      for (const [name, field] of entries) {
        value[name] = field.readInTurns ? await field.readInTurns(reader) : field.read(reader);
      }
      return value as StructOut<F>;
    };
  }
  return codec;
}

/** no fields at all */
export const nothing = struct({});
