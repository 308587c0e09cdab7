// XDR (RFC 4506) as libvirt uses it: big endian, everything padded to four bytes.
// The reader trusts nothing: each length is compared with its cap and with the bytes that are really there before
// anything is allocated, and the only thing it ever throws is an XdrError.

/** longest string libvirt sends (REMOTE_STRING_MAX); also bounds opaque data such as migration cookies */
export const stringMaxBytes = 4_194_304;

export class XdrError extends Error {
  override readonly name = 'XdrError';
}

const padded = (length: number): number => (length + 3) & ~3;

export class XdrReader {
  private readonly view: DataView;
  private at = 0;

  /** The buffer must not change while it is read: a large reply is decoded over several turns of the event loop. */
  constructor(private readonly bytes: Buffer) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get remaining(): number {
    return this.bytes.length - this.at;
  }

  /** Moves past `length` bytes and returns where they began. */
  private take(length: number): number {
    const from = this.at;
    if (length > this.bytes.length - from) throw new XdrError(`message ends ${length - this.remaining} bytes too early`);
    this.at = from + length;
    return from;
  }

  int(): number {
    return this.view.getInt32(this.take(4));
  }

  uint(): number {
    return this.view.getUint32(this.take(4));
  }

  bool(): boolean {
    return this.int() !== 0;
  }

  /** signed 64 bits; a bigint only where a number would lose digits */
  hyper(): number | bigint {
    const from = this.take(8);
    const high = this.view.getInt32(from);
    if (high >= -0x20_0000 && high < 0x20_0000) return high * 0x1_0000_0000 + this.view.getUint32(from + 4);
    return this.view.getBigInt64(from);
  }

  /** unsigned 64 bits; a bigint only where a number would lose digits */
  uhyper(): number | bigint {
    const from = this.take(8);
    const high = this.view.getUint32(from);
    if (high < 0x20_0000) return high * 0x1_0000_0000 + this.view.getUint32(from + 4);
    return this.view.getBigUint64(from);
  }

  double(): number {
    return this.view.getFloat64(this.take(8));
  }

  /** `length` bytes, copied, so that one short field does not keep a large reply alive */
  fixed(length: number): Buffer {
    const from = this.take(padded(length));
    return Buffer.from(this.bytes.subarray(from, from + length));
  }

  opaque(maxBytes = stringMaxBytes): Buffer {
    return this.fixed(this.length(maxBytes));
  }

  string(maxBytes = stringMaxBytes): string {
    const length = this.length(maxBytes);
    const from = this.take(padded(length));
    return this.bytes.toString('utf8', from, from + length);
  }

  uuid(): string {
    const from = this.take(16);
    const hex = this.bytes.toString('hex', from, from + 16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  /** A short ASCII name that comes again and again; `seen` gives the same string object each time. */
  name(seen: NameCache): string {
    const length = this.length(stringMaxBytes);
    const from = this.take(padded(length));
    return seen.get(this.bytes, from, length);
  }

  /** Number of items that follow. `minItemBytes` keeps a short message from announcing an array it cannot hold. */
  count(maxItems: number, minItemBytes: number): number {
    const count = this.uint();
    if (count > maxItems) throw new XdrError(`array of ${count} items, the limit is ${maxItems}`);
    if (count * minItemBytes > this.remaining) throw new XdrError(`array of ${count} items in ${this.remaining} bytes`);
    return count;
  }

  /** Bytes left over mean that both sides disagree on what was said. */
  end(): void {
    if (this.remaining > 0) throw new XdrError(`${this.remaining} bytes too many`);
  }

  private length(maxBytes: number): number {
    const length = this.uint();
    if (length > maxBytes) throw new XdrError(`length ${length}, the limit is ${maxBytes}`);
    return length;
  }
}

interface KnownName { readonly raw: Buffer; readonly text: string; next: KnownName | undefined }

/**
 * Turns the bytes of repeated names into strings without decoding them again. Statistics name the same ~150 fields in
 * the same order for every domain, so the name that followed last time is tried first, and usually is the one.
 */
export class NameCache {
  private readonly names = new Map<string, KnownName>();
  private last: KnownName | undefined;

  /** `maxNames` bounds what a hostile peer can make us remember; beyond it names are decoded each time */
  constructor(private readonly maxNames = 10_000, private readonly maxLength = 80) {}

  get(bytes: Buffer, from: number, length: number): string {
    const guess = this.last?.next;
    if (guess !== undefined && guess.raw.length === length && sameBytes(guess.raw, bytes, from)) {
      this.last = guess;
      return guess.text;
    }
    const text = bytes.toString('latin1', from, from + length);
    const known = this.names.get(text) ?? this.remember(text, bytes, from, length);
    if (known === undefined) return text;
    if (this.last !== undefined) this.last.next = known;
    this.last = known;
    return known.text;
  }

  private remember(text: string, bytes: Buffer, from: number, length: number): KnownName | undefined {
    if (this.names.size >= this.maxNames || length > this.maxLength) return undefined;
    const known: KnownName = { raw: Buffer.from(bytes.subarray(from, from + length)), text, next: undefined };
    this.names.set(text, known);
    return known;
  }
}

/** From the end: names differ there (`block.0.rd.bytes`, `block.1.rd.bytes` aside), and a native compare costs more than the loop. */
function sameBytes(raw: Buffer, bytes: Buffer, from: number): boolean {
  for (let i = raw.length - 1; i >= 0; i--) if (raw[i] !== bytes[from + i]) return false;
  return true;
}

export class XdrWriter {
  private bytes: Buffer;
  private at: number;

  /** `headroom` bytes stay free in front, so that a frame's header is filled in later without copying the body */
  constructor(headroom = 0, capacity = 512) {
    this.bytes = Buffer.allocUnsafe(Math.max(capacity, headroom));
    this.at = headroom;
  }

  /** Everything written, headroom included. The writer must not be used afterwards. */
  finish(): Buffer {
    return this.bytes.subarray(0, this.at);
  }

  /** Makes room and returns where it begins. May replace `bytes`: ask first, write then. */
  private grow(length: number): number {
    const from = this.at;
    if (from + length > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, from + length));
      this.bytes.copy(larger, 0, 0, from);
      this.bytes = larger;
    }
    this.at = from + length;
    return from;
  }

  int(value: number): void {
    const at = this.grow(4);
    this.bytes.writeInt32BE(value, at);
  }

  uint(value: number): void {
    const at = this.grow(4);
    this.bytes.writeUInt32BE(value, at);
  }

  bool(value: boolean): void {
    this.int(value ? 1 : 0);
  }

  hyper(value: number | bigint): void {
    const at = this.grow(8);
    this.bytes.writeBigInt64BE(BigInt(value), at);
  }

  uhyper(value: number | bigint): void {
    const at = this.grow(8);
    this.bytes.writeBigUInt64BE(BigInt(value), at);
  }

  double(value: number): void {
    const at = this.grow(8);
    this.bytes.writeDoubleBE(value, at);
  }

  fixed(value: Uint8Array): void {
    const size = padded(value.length);
    const from = this.grow(size);
    this.bytes.set(value, from);
    this.bytes.fill(0, from + value.length, from + size);
  }

  opaque(value: Uint8Array): void {
    this.uint(value.length);
    this.fixed(value);
  }

  string(value: string): void {
    this.opaque(Buffer.from(value, 'utf8'));
  }

  uuid(value: string): void {
    const raw = Buffer.from(value.replaceAll('-', ''), 'hex');
    if (raw.length !== 16) throw new XdrError(`not a UUID: ${value}`);
    this.fixed(raw);
  }
}
