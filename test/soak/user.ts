// One person at work: creates, starts, stops, moves and deletes machines and looks at pages, and remembers every answer.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Balancer } from './balancer.ts';

/** What somebody was told is under way. */
export interface Acknowledged { readonly what: 'create' | 'start' | 'force-off' | 'delete' | 'move'; readonly operationId: string; readonly instanceId: string; readonly at: number }
export interface Looked { readonly path: string; readonly at: number; readonly elapsedMs: number; readonly status: number | null }

/** What all of them were told and saw. */
export interface Journal {
  readonly acknowledged: Acknowledged[];
  readonly looks: Looked[];
  /** 4xx and 507, by status and words: they are the rules' and no fault */
  readonly refused: Map<string, number>;
  /** changes that nobody answered in time; what became of them nobody was told */
  unanswered: number;
  /** machines whose deletion was asked for and never acknowledged, though an earlier try of the same request may have begun it */
  readonly perhapsDeleted: Set<string>;
  /** answers that say the portal itself failed */
  readonly faults: string[];
}

export function newJournal(): Journal {
  return { acknowledged: [], looks: [], refused: new Map(), unanswered: 0, perhapsDeleted: new Set(), faults: [] };
}

export interface UserOptions {
  readonly balancer: Balancer;
  readonly journal: Journal;
  readonly token: string;
  /** of a browser that has logged in */
  readonly cookie: string;
  readonly imageId: string;
  readonly size: { readonly vcpus: number; readonly memoryMib: number; readonly diskGib: number };
  /** of their machines at most */
  readonly machines: number;
  /** may this one move machines */
  readonly isAdmin: boolean;
  readonly pauseMs: readonly [least: number, most: number];
  readonly random: () => number;
  readonly signal: AbortSignal;
}

interface InstanceBody { readonly id: string; readonly state: string; readonly operation: unknown; readonly host: { readonly id: string } | null }

const changeWithinMs = 90_000;
const lookWithinMs = 60_000;
const pages = ['/instances', '/resources', '/'];

export class SoakUser {
  readonly #options: UserOptions;

  constructor(options: UserOptions) {
    this.#options = options;
  }

  async work(): Promise<void> {
    const { random, signal, pauseMs: [least, most] } = this.#options;
    while (!signal.aborted) {
      if (random() < 0.5) await this.#look();
      else await this.#change();
      await delay(least + random() * (most - least), undefined, { signal }).catch(() => undefined);
    }
  }

  /** At the end: until there is none of theirs left. */
  async deleteAll(withinMs: number): Promise<void> {
    for (const end = Date.now() + withinMs; Date.now() < end; await delay(1000)) {
      const mine = await this.#instances();
      if (mine?.length === 0) return;
      for (const { id, operation } of mine ?? []) if (operation === null) await this.#ask('delete', 'DELETE', `/instances/${id}`, id);
    }
  }

  async #look(): Promise<void> {
    const { balancer, journal, cookie, random } = this.#options;
    const [mine] = random() < 0.3 ? ((await this.#instances()) ?? []) : [];
    const path = mine === undefined ? (pages[Math.floor(random() * pages.length)] ?? '/') : `/instances/${mine.id}`;
    const at = Date.now();
    const answer = await balancer.request(path, { headers: { accept: 'text/html', cookie } }, lookWithinMs);
    journal.looks.push({ path, at, elapsedMs: answer?.elapsedMs ?? lookWithinMs, status: answer?.status ?? null });
    if (answer !== undefined && answer.status !== 200 && answer.status !== 404) journal.faults.push(`GET ${path}: ${answer.status}`);
  }

  async #change(): Promise<void> {
    const { random, machines, imageId, size, isAdmin } = this.#options;
    const mine = await this.#instances();
    if (mine === undefined) return;
    const free = mine.filter(({ operation }) => operation === null);
    const chosen = free[Math.floor(random() * free.length)];
    const dice = random();
    if (chosen === undefined || (mine.length < machines && dice < 0.35)) {
      if (mine.length < machines) await this.#ask('create', 'POST', '/instances', undefined, { name: `soak-${randomUUID().slice(0, 8)}`, imageId, ...size });
      return;
    }
    if (isAdmin && chosen.state === 'running' && dice < 0.7) return this.#move(chosen);
    if (dice < 0.82) await (chosen.state === 'running' ? this.#ask('force-off', 'POST', `/instances/${chosen.id}/actions/force-off`, chosen.id) : this.#ask('start', 'POST', `/instances/${chosen.id}/actions/start`, chosen.id));
    else await this.#ask('delete', 'DELETE', `/instances/${chosen.id}`, chosen.id);
  }

  async #move({ id, host }: InstanceBody): Promise<void> {
    const { journal, random } = this.#options;
    const hosts = (await this.#get<{ items: { id: string; state: string }[] }>('/hosts'))?.items.filter((each) => each.state === 'up' && each.id !== host?.id) ?? [];
    const to = hosts[Math.floor(random() * hosts.length)];
    if (to === undefined) return;
    const at = Date.now();
    const answer = await this.#send('POST', '/moves', { instanceIds: [id], toHostId: to.id });
    if (answer === undefined) return;
    const [item] = (answer as { items: { move: { id: string } | null; refusal: string | null }[] }).items;
    if (item?.move) journal.acknowledged.push({ what: 'move', operationId: item.move.id, instanceId: id, at });
    else if (item?.refusal) journal.refused.set(`move: ${item.refusal}`, (journal.refused.get(`move: ${item.refusal}`) ?? 0) + 1);
  }

  async #ask(what: Acknowledged['what'], method: string, path: string, instanceId?: string, body?: object): Promise<void> {
    const at = Date.now();
    const answer = (await this.#send(method, path, body)) as { id: string; instanceId: string } | undefined;
    if (answer === undefined && what === 'delete' && instanceId !== undefined) this.#options.journal.perhapsDeleted.add(instanceId);
    if (answer !== undefined) this.#options.journal.acknowledged.push({ what, operationId: answer.id, instanceId: instanceId ?? answer.instanceId, at });
  }

  /** One change under one key, until somebody answers; undefined: refused, or nobody did. */
  async #send(method: string, path: string, body?: object): Promise<unknown> {
    const { balancer, journal, token } = this.#options;
    const key = randomUUID();
    for (const end = Date.now() + changeWithinMs; Date.now() < end; await delay(1000)) {
      const answer = await balancer.request(`/api/v1${path}`, {
        method, headers: { authorization: `Bearer ${token}`, 'idempotency-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }, end - Date.now());
      if (answer === undefined) break;
      // the portal that was at it died: its claim on the key runs out
      if (answer.status === 409 && /Idempotency-Key|same request/i.test(answer.text)) continue;
      if (answer.status < 400) return JSON.parse(answer.text);
      if (answer.status >= 500 && answer.status !== 507) journal.faults.push(`${method} ${path}: ${answer.status} ${answer.text.slice(0, 200)}`);
      else this.#refused(method, path, answer.status, answer.text);
      return undefined;
    }
    journal.unanswered++;
    return undefined;
  }

  #refused(method: string, path: string, status: number, text: string): void {
    const words = `${method} ${path.replace(/[0-9a-f-]{36}/g, ':id')}: ${status} ${(JSON.parse(text) as { detail?: string }).detail?.replace(/[\d.,]+/g, 'N').slice(0, 90) ?? ''}`;
    this.#options.journal.refused.set(words, (this.#options.journal.refused.get(words) ?? 0) + 1);
  }

  async #instances(): Promise<readonly InstanceBody[] | undefined> {
    return (await this.#get<{ items: InstanceBody[] }>('/instances?pageSize=100'))?.items;
  }

  async #get<T>(path: string): Promise<T | undefined> {
    const answer = await this.#options.balancer.request(`/api/v1${path}`, { headers: { authorization: `Bearer ${this.#options.token}` } }, lookWithinMs);
    if (answer !== undefined && answer.status >= 500) this.#options.journal.faults.push(`GET ${path}: ${answer.status} ${answer.text.slice(0, 200)}`);
    return answer?.status === 200 ? (JSON.parse(answer.text) as T) : undefined;
  }
}
