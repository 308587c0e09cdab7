// A chunk of a longer tier as bytes. Values are kept with 8 bits behind the leading one (an error of 0.2 % at most) as codes of
// 16 bits that grow with the value; written are the mean's step from the point before, and how far the most and the least are
// from the mean. Small numbers take one byte, zeros in a row two bytes together: a quiet metric costs next to nothing.
// Layout: 1 (the format), how many points are there and are not by turns, means, mosts, leasts, two bytes of checksum.
import type { Points } from './roll-up.ts';

const format = 1;
/** Past this a code would be infinity. */
const largestCode = 0xfeff;

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Exponent and leading bits of the nearest number; nothing that is measured is below nothing. */
function codeOf(value: number): number {
  float[0] = value > 0 ? value : 0;
  // halves go up: min ≤ avg ≤ max stays true, because rounding keeps the order
  return Math.min(largestCode, ((bits[0] ?? 0) + 0x4000) >>> 15);
}

function valueOf(code: number): number {
  bits[0] = code << 15;
  return float[0] ?? 0;
}

/** The bytes of these points; undefined when nothing was measured, which is not worth a row. */
export function encodeChunk(points: Points): Buffer | undefined {
  const present = Array.from(points.avg.keys()).filter((index) => isPresent(points, index));
  if (present.length === 0) return undefined;
  const bytes: number[] = [format];
  writeRuns(bytes, points);
  const avg = present.map((index) => codeOf(points.avg[index] ?? 0));
  writeNumbers(bytes, avg.map((code, index) => zigzag(code - (avg[index - 1] ?? 0))));
  writeNumbers(bytes, present.map((index, n) => Math.max(0, codeOf(points.max[index] ?? 0) - (avg[n] ?? 0))));
  writeNumbers(bytes, present.map((index, n) => Math.max(0, (avg[n] ?? 0) - codeOf(points.min[index] ?? 0))));
  const checksum = checksumOf(bytes, bytes.length);
  bytes.push(checksum >>> 8, checksum & 0xff);
  return Buffer.from(bytes);
}

function isPresent(points: Points, index: number): boolean {
  return !Number.isNaN(points.avg[index] ?? NaN);
}

function writeRuns(bytes: number[], points: Points): void {
  let there = true;
  let run = 0;
  for (let index = 0; index < points.avg.length; index++) {
    if (isPresent(points, index) === there) run++;
    else {
      writeNumber(bytes, run);
      there = !there;
      run = 1;
    }
  }
  writeNumber(bytes, run);
}

/** Zeros in a row as one zero and how many more. */
function writeNumbers(bytes: number[], numbers: readonly number[]): void {
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index] ?? 0;
    writeNumber(bytes, number);
    if (number !== 0) continue;
    let more = 0;
    while (numbers[index + more + 1] === 0) more++;
    writeNumber(bytes, more);
    index += more;
  }
}

/** Seven bits a byte, the least first; the eighth says that more follow. */
function writeNumber(bytes: number[], number: number): void {
  let rest = number;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
}

function zigzag(number: number): number {
  return number < 0 ? -2 * number - 1 : 2 * number;
}

/** Fletcher's sum, so that a damaged row shows as a gap and not as a wrong value. */
function checksumOf(bytes: ArrayLike<number>, length: number): number {
  let low = 1;
  let high = 0;
  // a chunk is far too short for these sums to leave what is exact
  for (let index = 0; index < length; index++) {
    low += bytes[index] ?? 0;
    high += low;
  }
  return ((high % 255) << 8) | (low % 255);
}

/** The points of these bytes; undefined when they are not `count` points of a format that is known here. */
export function decodeChunk(bytes: Uint8Array, count: number): Points | undefined {
  const end = bytes.length - 2;
  if (end < 1 || bytes[0] !== format || checksumOf(bytes, end) !== (((bytes[end] ?? 0) << 8) | (bytes[end + 1] ?? 0))) return undefined;
  const cursor: Cursor = { bytes, at: 1 };
  const present = readRuns(cursor, count);
  if (present === undefined) return undefined;
  const means = readNumbers(cursor, present.length);
  const above = readNumbers(cursor, present.length);
  const below = readNumbers(cursor, present.length);
  // more or fewer bytes than the points take
  if (cursor.at !== end) return undefined;
  const points = { avg: new Float64Array(count).fill(NaN), min: new Float64Array(count).fill(NaN), max: new Float64Array(count).fill(NaN) };
  let code = 0;
  for (let n = 0; n < present.length; n++) {
    const index = present[n] ?? 0;
    const step = means[n] ?? 0;
    code += (step & 1) === 0 ? step >>> 1 : -((step + 1) >>> 1);
    points.avg[index] = valueOf(code);
    points.max[index] = valueOf(code + (above[n] ?? 0));
    points.min[index] = valueOf(code - (below[n] ?? 0));
  }
  return points;
}

/** Where reading has come to. Past the end are zeros. */
interface Cursor { readonly bytes: Uint8Array; at: number }

// a year of a metric is a hundred thousand numbers: position and bytes are kept at hand in the loop
function readNumbers(cursor: Cursor, count: number): Uint32Array {
  const { bytes } = cursor;
  const numbers = new Uint32Array(count);
  let at = cursor.at;
  for (let index = 0; index < count; index++) {
    let byte = bytes[at++] ?? 0;
    let value = byte & 0x7f;
    for (let shift = 7; byte > 0x7f && shift <= 14; shift += 7) {
      byte = bytes[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
    }
    numbers[index] = value;
    // a run of zeros is shorter than a chunk: one byte
    if (value === 0) index += bytes[at++] ?? 0;
  }
  cursor.at = at;
  return numbers;
}

/** Which points are there, oldest first. */
function readRuns(cursor: Cursor, count: number): Uint8Array | undefined {
  const present = new Uint8Array(count);
  let found = 0;
  let index = 0;
  for (let there = true; index < count; there = !there) {
    const run = cursor.bytes[cursor.at++] ?? 0;
    // only the first may be empty: else damaged bytes could keep this going for ever
    if ((run === 0 && (index > 0 || !there)) || index + run > count) return undefined;
    for (const last = index + run; index < last; index++) if (there) present[found++] = index;
  }
  return present.subarray(0, found);
}
