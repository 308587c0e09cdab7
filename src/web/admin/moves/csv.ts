// Moves as a file for table programs (RFC 4180). Plain figures in one unit each, times in ISO 8601, so that it can be calculated with.
import type { Sentence } from '../../../errors.ts';
import type { Move } from '../../../model/move.ts';
import { csvField, csvMark } from '../../csv.ts';

const mib = 1024 ** 2;
const iso = (at: number | null): string => (at === null ? '' : new Date(at).toISOString());

type Column = readonly [head: string, value: (move: Move, owners: ReadonlyMap<string, string>, say: (sentence: Sentence) => string) => string | number | null];

const columns: readonly Column[] = [
  ['id', (move) => move.id],
  ['instance', (move) => move.instanceName],
  ['instance_id', (move) => move.instanceId],
  ['owner', (move, owners) => owners.get(move.userId) ?? ''],
  ['from', (move) => move.fromHostName],
  ['to', (move) => move.toHostName],
  ['kind', (move) => move.kind],
  ['with_disk', (move) => (move.withDisk ? 'yes' : 'no')],
  ['trigger', (move) => move.trigger],
  ['why', (move, _owners, say) => say(move.why)],
  ['state', (move) => move.state],
  ['asked_at', (move) => iso(move.createdAt)],
  ['started_at', (move) => iso(move.startedAt)],
  ['ended_at', (move) => iso(move.endedAt)],
  ['took_seconds', (move) => (move.startedAt === null || move.endedAt === null ? null : (move.endedAt - move.startedAt) / 1000)],
  ['sent_mib', (move) => (move.transferredBytes === null ? null : Math.round((move.transferredBytes / mib) * 10) / 10)],
  ['pause_ms', (move) => move.downtimeMs],
  ['passes', (move) => move.iteration],
  ['error', (move, _owners, say) => (move.error === null ? '' : say(move.error))],
];

export function csvOf(moves: readonly Move[], owners: ReadonlyMap<string, string>, say: (sentence: Sentence) => string, withHead: boolean): string {
  const head = withHead ? `${csvMark}${columns.map(([name]) => name).join(',')}\r\n` : '';
  return head + moves.map((move) => `${columns.map(([, value]) => csvField(value(move, owners, say))).join(',')}\r\n`).join('');
}
