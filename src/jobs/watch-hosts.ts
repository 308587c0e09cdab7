// Says of every host whether it answers, and is the only one to say so: who measures or works there may find a host slow,
// this finds it silent. A host that hangs, is cut off or is off is asked like all others, and none of them waits for it.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { say, type Sentence } from '../errors.ts';
import { LibvirtError } from '../libvirt/errors.ts';
import type { Hypervisor } from '../libvirt/hypervisor.ts';
import type { Host } from '../model/host.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { syncFleet } from '../operations/fleet-sync.ts';
import { explainReason } from '../operations/host-problem.ts';
import { insertHostEvent } from '../store/host-events.ts';
import { selectHosts, updateHostContact, updateHostsSeen, type HostContact } from '../store/hosts.ts';
import { updateOperationsOfHostReady } from '../store/operations.ts';
import type { Job } from './schedule.ts';

export interface WatchOptions {
  readonly everyMs: number;
  /**
   * A host is called unreachable after this long without an answer. Smaller: a restart of libvirtd, which takes up to 3 s
   * and is found a few seconds later, raises an alarm. Larger: what should run again waits longer for it.
   */
  readonly silenceMs: number;
}
export const defaultWatch: WatchOptions = { everyMs: 2000, silenceMs: 9000 };

/** How long a turn waits for answers: whoever is alive answers in a few milliseconds, the others are looked at next time. */
const turnMs = 500;
/** How old a good contact may grow in the database before it is written again. */
const writeSeenMs = 4000;

interface Watch {
  readonly hypervisor: Hypervisor | undefined;
  /** monotonic, of the last answer or of the first look */
  answeredAt: number;
  /** the same by the clock; null: it has not answered this portal yet */
  seenAt: number | null;
  asking: boolean;
  reason: string;
}

/** It remembers when which host answered. Where another portal has the job it asks all the same: whoever takes the job over from a portal that died, with a host perhaps, knows since when that host is silent. */
export function createWatchHosts(deps: OperationDeps, options: WatchOptions = defaultWatch): Pick<Required<Job>, 'run' | 'standBy'> {
  const watches = new Map<string, Watch>();
  const unspoken = new Set<string>();
  let lastTurnAt = performance.now();

  const watchOf = (host: Host): Watch => {
    const hypervisor = deps.hosts.has(host.id) ? deps.hosts.host(host.id) : undefined;
    const known = watches.get(host.id);
    if (known !== undefined && known.hypervisor === hypervisor) return known;
    const watch: Watch = { hypervisor, answeredAt: performance.now(), seenAt: null, asking: false, reason: `there is no connection to ${host.uri}` };
    watches.set(host.id, watch);
    return watch;
  };

  /** Never rejects. One question at a time: the next one would only stand behind it. */
  const ask = async (watch: Watch): Promise<void> => {
    if (watch.asking || watch.hypervisor === undefined) return;
    watch.asking = true;
    try {
      // libvirt's own answer for this keeps apart from slow storage and busy guests: silence here is the daemon's
      await watch.hypervisor.node.getLibVersion({ timeoutMs: options.silenceMs, urgent: true });
      answered(watch);
    } catch (error) {
      // a refusal is an answer
      if (error instanceof LibvirtError) answered(watch);
      else watch.reason = error instanceof Error ? error.message : String(error);
    } finally {
      watch.asking = false;
    }
  };
  const answered = (watch: Watch): void => {
    watch.answeredAt = performance.now();
    watch.seenAt = deps.clock.now();
  };

  /** One question to each, and a moment for the answers. */
  const look = async (signal: AbortSignal): Promise<{ readonly hosts: readonly Host[]; readonly turnAt: number }> => {
    const hosts = await selectHosts(deps.db);
    // one that was added through another portal a moment ago, or one whose URI cannot be spoken: once each
    if (hosts.some((host) => !deps.hosts.has(host.id) && !unspoken.has(host.id))) {
      await syncFleet(deps);
      for (const host of hosts) if (!deps.hosts.has(host.id)) unspoken.add(host.id);
    }
    for (const id of watches.keys()) if (!hosts.some((host) => host.id === id)) watches.delete(id);
    // while this process stood still nobody could answer it: that time is nobody's silence
    const turnAt = performance.now();
    const stoodStillMs = Math.max(0, turnAt - lastTurnAt - 2 * options.everyMs);
    lastTurnAt = turnAt;
    for (const watch of watches.values()) watch.answeredAt += stoodStillMs;

    const asked = Promise.all(hosts.map((host) => ask(watchOf(host))));
    await Promise.race([asked, delay(turnMs, undefined, { signal }).catch(() => undefined)]);
    return { hosts, turnAt };
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    const { hosts, turnAt } = await look(signal);
    if (signal.aborted) return;
    const judged = hosts.map((host) => ({ host, watch: watchOf(host) }));
    const seen = judged.filter(({ host, watch }) => host.state === 'up' && watch.answeredAt >= turnAt && (host.reason !== null || (watch.seenAt ?? 0) - (host.seenAt ?? 0) >= writeSeenMs));
    await updateHostsSeen(deps.db, seen.map(({ host }) => host.id), deps.clock.now());
    // each for itself: one row that is locked must not keep the others from being written
    await Promise.all(judged.map(async ({ host, watch }) => {
      const contact = contactOf(host, watch, turnAt);
      if (contact !== undefined) await record(deps, host, contact);
    }));
  };
  return { run, standBy: async (signal) => void (await look(signal)) };

  /** undefined: nothing new. */
  function contactOf(host: Host, watch: Watch, turnAt: number): HostContact | undefined {
    // it checks in, or stays as it is
    if (host.state === 'fenced') return undefined;
    if (watch.answeredAt >= turnAt && watch.seenAt !== null) return host.state === 'up' ? undefined : { state: 'up', at: deps.clock.now() };
    if (performance.now() - watch.answeredAt < options.silenceMs || (host.state === 'unreachable' && host.reason === watch.reason.slice(0, 1000))) return undefined;
    return { state: 'unreachable', at: deps.clock.now(), reason: watch.reason, ...(watch.seenAt === null ? {} : { seenAt: watch.seenAt }) };
  }
}

/** The change and its line in the host's history, together; of several writers only the one who made the change writes the line. */
async function record(deps: OperationDeps, host: Host, contact: HostContact): Promise<void> {
  const about = { hostId: host.id, host: host.name };
  const id = randomUUID();
  const changed = await deps.db.transaction(async (tx) => {
    if (!(await updateHostContact(tx, host.id, contact))) return false;
    if (contact.state === 'up' && host.state === 'unknown') return true;
    const reason = contact.state === 'up' ? null : explainReason(contact.reason, host.name).sentence;
    const sentence = contact.state === 'up' ? found(contact.at - host.stateSince) : say('hosts.event.lost');
    await insertHostEvent(tx, { id, hostId: host.id, at: contact.at, kind: 'connection', userId: null, sentence, reason });
    return true;
  });
  if (!changed) return;
  if (contact.state === 'unreachable') return deps.log.warn({ ...about, reason: contact.reason }, 'host does not answer');
  deps.log.info({ ...about, awayMs: contact.at - host.stateSince }, 'host answers');
  if ((await updateOperationsOfHostReady(deps.db, host.id)) > 0) deps.wake();
}

function found(awayMs: number): Sentence {
  const seconds = Math.max(1, Math.round(awayMs / 1000));
  if (seconds < 120) return say('hosts.event.found-seconds', { count: seconds });
  if (seconds < 7200) return say('hosts.event.found-minutes', { count: Math.round(seconds / 60) });
  return say('hosts.event.found-hours', { count: Math.round(seconds / 3600) });
}
