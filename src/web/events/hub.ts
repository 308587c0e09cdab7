// One hub per process: at each tick it reads the database once for all who listen, whatever their number, and sends each
// what it may see and has not been sent. It reads the database and not this portal's memory, so it does not matter which
// portal polls the hosts or works on an operation.
import type { Move } from '../../model/move.ts';
import { languages, type Language } from '../../model/user.ts';
import { selectHostsByIds } from '../../store/hosts.ts';
import { selectInstancesByIds } from '../../store/instances.ts';
import { selectOpenMoves } from '../../store/moves.ts';
import { selectLiveSessionIds } from '../../store/sessions.ts';
import { moveWords } from '../admin/moves/words.ts';
import type { WebDeps } from '../deps.ts';
import { formatFor } from '../format.ts';
import { translator } from '../locales/index.ts';
import { loadRows, rowWords, type MonitorRow } from '../monitor/rows.ts';
import { clusterWords, hostLine, loadClusterState, loadHostLoads, type HostLoad } from '../resources/state.ts';
import { LatencyMeter } from './latency.ts';
import { Subscriptions, type Subscriber } from './subscriptions.ts';

/** How soon a window sees a new state. Shorter: more statements; longer: "starting" stands there when it has started. */
const tickMs = 3000;
/** Between two ticks at least: whoever opens and closes streams in a loop must not keep the hub reading for all who listen. */
const pauseMs = 250;
/** A stream that says nothing is cut by proxies and taken for dead by the page. */
const heartbeatMs = 15_000;

/** One line of a page: words by cell. `key` is the element's data-live. */
export interface LiveRow {
  readonly key: string;
  readonly at?: number | null;
  readonly state?: string;
  readonly cells?: Readonly<Record<string, string>>;
  readonly actions?: readonly string[];
  /** for charts */
  readonly values?: Readonly<Record<string, number | null>>;
  readonly gone?: true;
}

interface Sent {
  readonly rows: Map<string, string>;
  at: number;
  /** of the newest sample, and of the last ticket for one */
  sampleAt: number;
  askedAt: number;
}

const tools = new Map(languages.map((language) => {
  const t = translator(language);
  return [language, { t, fmt: formatFor(language, t) }] as const;
}));

export class EventsHub {
  readonly #deps: WebDeps;
  readonly #latency: LatencyMeter;
  readonly #subscriptions = new Subscriptions();
  readonly #sent = new Map<Subscriber, Sent>();
  #timer: NodeJS.Timeout | undefined;
  #ticking = false;
  /** by performance.now() */
  #tickedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: WebDeps, latency = new LatencyMeter(deps)) {
    this.#deps = deps;
    this.#latency = latency;
  }

  /** False: too many listen already. The first patch comes at once. */
  subscribe(subscriber: Subscriber): boolean {
    if (!this.#subscriptions.add(subscriber)) return false;
    this.#sent.set(subscriber, { rows: new Map(), at: 0, sampleAt: 0, askedAt: 0 });
    this.#schedule(0);
    return true;
  }

  unsubscribe(subscriber: Subscriber): void {
    this.#subscriptions.remove(subscriber);
    this.#sent.delete(subscriber);
    if (this.#subscriptions.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(afterMs: number): void {
    if (this.#ticking) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#tick(), Math.max(afterMs, this.#tickedAt + pauseMs - performance.now()));
  }

  async #tick(): Promise<void> {
    this.#ticking = true;
    const listening = this.#subscriptions.list();
    try {
      await this.#publish(listening);
    } catch (error) {
      // the pages mark their figures as old by themselves
      this.#deps.log.warn({ err: error }, 'live figures not read');
    } finally {
      this.#ticking = false;
      this.#tickedAt = performance.now();
    }
    if (this.#subscriptions.size === 0) return;
    // who came while this tick was reading does not wait for a whole one
    const waiting = this.#subscriptions.list().some((subscriber) => !listening.includes(subscriber));
    this.#schedule(waiting ? 0 : tickMs);
  }

  async #publish(listening: readonly Subscriber[]): Promise<void> {
    const { db, clock } = this.#deps;
    const now = clock.now();
    const ids = [...new Set(listening.flatMap((subscriber) => subscriber.instanceIds))];
    const hostIds = [...new Set(listening.flatMap((subscriber) => subscriber.hostIds))];
    const [live, rows, cluster, hosts, moves] = await Promise.all([
      selectLiveSessionIds(db, [...new Set(listening.map((subscriber) => subscriber.sessionRowId))], now),
      selectInBatches(ids, (batch) => selectInstancesByIds(db, batch)).then((instances) => loadRows(db, instances, now)),
      listening.some((subscriber) => subscriber.cluster) ? loadClusterState(db) : undefined,
      selectInBatches(hostIds, (batch) => selectHostsByIds(db, batch)).then((hosts) => loadHostLoads(db, hosts, now)),
      listening.some((subscriber) => subscriber.moves) ? selectOpenMoves(db) : [],
    ]);
    const byId = new Map(rows.map((row) => [row.instance.id, row]));
    const words = new WordCache(byId);
    const clusterRows = new Map<Language, LiveRow[]>();
    const hostRows = new HostLines(hosts);
    for (const subscriber of listening) {
      if (!live.has(subscriber.sessionRowId)) {
        subscriber.send('end', {});
        subscriber.close();
        continue;
      }
      const lines = subscriber.instanceIds.map((id) => words.of(id, subscriber));
      if (subscriber.cluster && cluster !== undefined) {
        const { language } = subscriber;
        const known = clusterRows.get(language) ?? clusterWords(cluster, toolsOf(language).t, toolsOf(language).fmt);
        clusterRows.set(language, known);
        lines.push(...known);
      }
      lines.push(...hostRows.of(subscriber));
      if (subscriber.moves) lines.push(...moveLines(moves, subscriber.language, now));
      this.#sendChanges(subscriber, lines, now);
    }
  }

  #sendChanges(subscriber: Subscriber, lines: readonly LiveRow[], now: number): void {
    const sent = this.#sent.get(subscriber);
    if (sent === undefined) return;
    const changed = lines.filter((line) => {
      const text = JSON.stringify(line);
      if (sent.rows.get(line.key) === text) return false;
      sent.rows.set(line.key, text);
      return true;
    });
    if (changed.length === 0 && now - sent.at < heartbeatMs) return;
    const newest = Math.max(sent.sampleAt, ...changed.map((line) => line.at ?? 0));
    // what a window opens with was measured before anybody looked
    const confirm = sent.at > 0 && newest > sent.sampleAt ? this.#latency.offer(subscriber.userId, newest, sent.askedAt, now) : undefined;
    if (confirm !== undefined) sent.askedAt = now;
    sent.at = now;
    sent.sampleAt = newest;
    subscriber.send('patch', { now, rows: changed, confirm });
  }
}

function toolsOf(language: Language): { t: ReturnType<typeof translator>; fmt: ReturnType<typeof formatFor> } {
  const found = tools.get(language);
  if (found === undefined) throw new Error(`no words in ${language}`);
  return found;
}

/** Each instance's line, once for each language; another's instance is the same as none. */
class WordCache {
  readonly #rows: ReadonlyMap<string, MonitorRow>;
  readonly #lines = new Map<string, LiveRow>();

  constructor(rows: ReadonlyMap<string, MonitorRow>) {
    this.#rows = rows;
  }

  of(id: string, { userId, role, language }: Subscriber): LiveRow {
    const row = this.#rows.get(id);
    if (row === undefined || (row.instance.userId !== userId && role !== 'admin')) return { key: `instance:${id}`, gone: true };
    const cacheKey = `${language} ${id}`;
    const line = this.#lines.get(cacheKey) ?? instanceLine(row, language);
    this.#lines.set(cacheKey, line);
    return line;
  }
}

/** The hosts' lines, once for each language. */
class HostLines {
  readonly #hosts: ReadonlyMap<string, HostLoad>;
  readonly #lines = new Map<string, LiveRow>();

  constructor(hosts: readonly HostLoad[]) {
    this.#hosts = new Map(hosts.map((load) => [load.host.id, load]));
  }

  of({ hostIds, language }: Subscriber): LiveRow[] {
    return hostIds.flatMap((id) => {
      const load = this.#hosts.get(id);
      if (load === undefined) return [];
      const key = `${language} ${id}`;
      const line = this.#lines.get(key) ?? hostLine(load, toolsOf(language).t, toolsOf(language).fmt);
      this.#lines.set(key, line);
      return [line];
    });
  }
}

/** What waits and goes on, and a line that changes when one begins or ends: its page is then fetched anew. */
function moveLines(moves: readonly Move[], language: Language, now: number): LiveRow[] {
  const { t, fmt } = toolsOf(language);
  const lines = moves.map((move): LiveRow => ({ key: `move:${move.id}`, ...moveWords(move, now, t, fmt) }));
  return [...lines, { key: 'moves', state: moves.map(({ id, state }) => `${state === 'queued' ? 'q' : 'm'}:${id}`).join(' ') }];
}

function instanceLine(row: MonitorRow, language: Language): LiveRow {
  const { t, fmt } = toolsOf(language);
  const { sample } = row;
  return {
    key: `instance:${row.instance.id}`,
    ...rowWords(row, t, fmt),
    values: {
      cpuPercent: sample?.cpuPercent ?? null,
      memoryUsedMib: sample?.memoryUsedMib ?? null,
      diskReadBytesPerSecond: sample?.diskReadBytesPerSecond ?? null,
      diskWriteBytesPerSecond: sample?.diskWriteBytesPerSecond ?? null,
      networkReceiveBytesPerSecond: sample?.networkReceiveBytesPerSecond ?? null,
      networkTransmitBytesPerSecond: sample?.networkTransmitBytesPerSecond ?? null,
    },
  };
}

async function selectInBatches<T>(ids: readonly string[], select: (batch: readonly string[]) => Promise<T[]>): Promise<T[]> {
  const found: T[] = [];
  for (let start = 0; start < ids.length; start += 250) found.push(...(await select(ids.slice(start, start + 250))));
  return found;
}
