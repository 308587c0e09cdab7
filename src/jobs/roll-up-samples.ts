// Makes the longer tiers of measured values: hours of minutes from the rings, days of quarters of an hour from the hours, and
// takes out what is older than the settings keep. Every subject has its own minute, so that the work is even over the
// period. A run can be killed anywhere and done again: a subject's chunks and the note that it has them are written together.
import { setImmediate } from 'node:timers/promises';
import { decodeChunk, encodeChunk } from '../model/chunk.ts';
import { addPoints, createSteps, dayMs, hourMs, minuteTier, quarterTier, type Steps } from '../model/roll-up.ts';
import type { Settings } from '../model/settings.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { selectRingHour } from '../store/ring-hours.ts';
import { deleteChunksBefore, insertChunks, selectAllChunks, selectDueSubjects, type ChunkRow, type DueSubject, type Turn } from '../store/sample-chunks.ts';
import { selectSettings } from '../store/settings.ts';

type Deps = Pick<OperationDeps, 'db' | 'clock' | 'log'>;

/** The last samples of an hour are written by then, by whichever portal's clock. */
const graceMs = 120_000;
interface Spread { readonly fromMinute: number; readonly minutes: number }
/** Over more of the hour, a portal that takes over would come too late for what the rings still hold. */
const hourSpread: Spread = { fromMinute: 0, minutes: 45 };
/** From one o'clock, when the hours before midnight are there. */
const daySpread: Spread = { fromMinute: 60, minutes: 1200 };
/** Subjects of one read and one transaction: 1,500 samples, some 50 chunks. More keep the event loop for longer at a time. */
const batchSubjects = 4;
/** Subjects of one run: after a pause of the portals the rest waits for the next. */
const runSubjects = 2000;
/** Days that are made up for: older hours are not kept anyway. */
const daysBack = 16;

export async function rollUpSamples(deps: Deps, signal: AbortSignal): Promise<void> {
  const now = deps.clock.now();
  const { monitoring } = await selectSettings(deps.db, deps.log);
  await rollUpHours(deps, now, signal);
  await rollUpDays(deps, now, monitoring, signal);
}

async function rollUpHours({ db }: Deps, now: number, signal: AbortSignal): Promise<void> {
  // a turn of the rings is two hours: of older ones there is nothing left
  for (const turn of turnsOf(now, hourMs, hourSpread)) {
    for (const subjectIds of batchesOf(await selectDueSubjects(db, 'sample_hours', turn, runSubjects), signal)) {
      const hours = await selectRingHour(db, subjectIds, turn.chunk);
      const rows = [...hours].flatMap(([subjectId, metrics]) => toRows(subjectId, turn.chunk, metrics));
      await insertChunks(db, 'sample_hours', turn.chunk, subjectIds, rows);
      await setImmediate();
    }
  }
}

async function rollUpDays(deps: Deps, now: number, keep: Settings['monitoring'], signal: AbortSignal): Promise<void> {
  for (const turn of turnsOf(now, dayMs, daySpread)) {
    const due = await selectDueSubjects(deps.db, 'sample_days', turn, runSubjects);
    // who is days behind does one a run
    const dayOf = (subject: DueSubject): number => Math.max(subject.rolled + 1, turn.chunk - daysBack);
    for (const day of new Set(due.map(dayOf))) {
      for (const subjectIds of batchesOf(due.filter((subject) => dayOf(subject) === day), signal)) {
        await insertChunks(deps.db, 'sample_days', day, subjectIds, await rollUpDay(deps, subjectIds, day));
        for (const id of subjectIds) await deleteOld(deps.db, id, day, now, keep);
        await setImmediate();
      }
    }
  }
}

/** The period before the last that is over, of all that are behind, and the last one, of those whose minute has come. */
function turnsOf(now: number, lengthMs: number, { fromMinute, minutes }: Spread): Turn[] {
  const over = now - graceMs;
  const last = Math.floor(over / lengthMs) - 1;
  return [
    { chunk: last - 1, minute: minutes, spreadMinutes: minutes },
    { chunk: last, minute: Math.floor((over % lengthMs) / 60_000) - fromMinute, spreadMinutes: minutes },
  ];
}

async function deleteOld(db: Deps['db'], subjectId: number, day: number, now: number, keep: Settings['monitoring']): Promise<void> {
  // hours stay until their day is made
  await deleteChunksBefore(db, 'sample_hours', subjectId, Math.min((day + 1) * 24, Math.floor((now - keep.minuteDays * dayMs) / hourMs)));
  await deleteChunksBefore(db, 'sample_days', subjectId, Math.floor((now - keep.quarterDays * dayMs) / dayMs));
}

async function rollUpDay({ db, log }: Deps, subjectIds: readonly number[], day: number): Promise<ChunkRow[]> {
  const days = new Map(subjectIds.map((id) => [id, new Map<number, Steps>()]));
  for (const row of await selectAllChunks(db, 'sample_hours', subjectIds, day * 24, day * 24 + 23)) {
    const points = decodeChunk(row.data, minuteTier.points);
    if (points === undefined) {
      log.warn({ subject: row.subjectId, metric: row.metricId, hour: row.chunk }, 'damaged samples of an hour left out of their day');
      continue;
    }
    const metrics = days.get(row.subjectId);
    let steps = metrics?.get(row.metricId);
    if (steps === undefined) metrics?.set(row.metricId, (steps = createSteps(day * dayMs, quarterTier.stepMs, quarterTier.points)));
    if (steps !== undefined) addPoints(steps, row.chunk * hourMs, minuteTier.stepMs, points);
  }
  return [...days].flatMap(([subjectId, metrics]) => toRows(subjectId, day, metrics));
}

/** A metric of which nothing was measured makes no row. */
function toRows(subjectId: number, chunk: number, metrics: ReadonlyMap<number, Steps>): ChunkRow[] {
  return [...metrics].flatMap(([metricId, steps]) => {
    const data = encodeChunk(steps.points());
    return data === undefined ? [] : [{ subjectId, metricId, chunk, data }];
  });
}

/** Ends early when the portal stops; what is left is due again in the next run. */
function* batchesOf(subjects: readonly DueSubject[], signal: AbortSignal): Generator<number[]> {
  for (let start = 0; start < subjects.length && !signal.aborted; start += batchSubjects) {
    yield subjects.slice(start, start + batchSubjects).map((subject) => subject.id);
  }
}
