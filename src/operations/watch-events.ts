// Listens to all hosts, so that what changes behind our back stands in the database at once. Every portal does; who writes
// first wins, and the others find nothing to change. What is missed here is found by the next reconciliation.
import { setTimeout as delay } from 'node:timers/promises';
import { say } from '../errors.ts';
import type { DomainEvent, Hypervisor } from '../libvirt/hypervisor.ts';
import { selectHosts, selectOptionalHost } from '../store/hosts.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { selectOptionalInstance } from '../store/instances.ts';
import { selectOperationsByInstance, updateOperationEvent, updateOperationsOfHostReady } from '../store/operations.ts';
import type { OperationDeps } from './deps.ts';
import { observeInstance, reconcileHost } from './reconcile.ts';

export interface EventWatch {
  stop(): Promise<void>;
}

/** How late a host that was just added is listened to, milliseconds. */
const lookForHostsMs = 2000;
/** How long after a reboot that was asked for a reset still belongs to it: another portal hears it later, and guests reset twice. */
const echoMs = 10_000;
/** For one answer about one domain; the next event waits behind it. */
const callOptions = { timeoutMs: 5000 };

export function watchEvents(deps: OperationDeps): EventWatch {
  const stopping = new AbortController();
  const watched = new Map<Hypervisor, Promise<void>>();

  const look = async (): Promise<void> => {
    for (const { id } of await selectHosts(deps.db)) {
      if (!deps.hosts.has(id)) continue;
      const hypervisor = deps.hosts.host(id);
      if (watched.has(hypervisor)) continue;
      // it ends when the fleet closes the connection: the host was removed, or has another address now
      watched.set(hypervisor, watchHost(deps, id, hypervisor, stopping.signal).finally(() => watched.delete(hypervisor)));
    }
  };
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await look().catch((error: unknown) => deps.log.warn({ err: error }, 'looking for hosts to listen to failed'));
      await delay(lookForHostsMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await loop;
      await Promise.all(watched.values());
    },
  };
}

async function watchHost(deps: OperationDeps, hostId: string, hypervisor: Hypervisor, signal: AbortSignal): Promise<void> {
  try {
    for await (const event of hypervisor.events({ signal })) {
      await handle(deps, hostId, event).catch((error: unknown) => deps.log.warn({ host: hostId, event: event.type, err: error }, 'event not handled'));
    }
  } catch (error) {
    if (!signal.aborted) deps.log.warn({ host: hostId, err: error }, 'listening to a host ended');
  }
}

async function handle(deps: OperationDeps, hostId: string, event: DomainEvent): Promise<void> {
  if (event.type === 'lifecycle') return observeInstance(deps, hostId, event.domain.uuid, callOptions);
  if (event.type === 'reboot') return rebooted(deps, hostId, event.domain.uuid);
  if (event.type !== 'resync') return;
  const host = await selectOptionalHost(deps.db, hostId);
  // one that is fenced checks in first
  if (host === undefined || host.state === 'fenced') return;
  if ((await updateOperationsOfHostReady(deps.db, hostId)) > 0) deps.wake();
  await reconcileHost(deps, host, { timeoutMs: 15_000 });
}

async function rebooted(deps: OperationDeps, hostId: string, instanceId: string): Promise<void> {
  const instance = await selectOptionalInstance(deps.db, instanceId);
  if (instance === undefined || instance.hostId !== hostId) return;
  const now = deps.clock.now();
  if (instance.operationId !== null) {
    await updateOperationEvent(deps.db, instance.operationId, now);
    deps.wake();
    return;
  }
  const [last] = await selectOperationsByInstance(deps.db, instanceId, 1);
  if (last?.kind === 'instance-reboot' && last.endedAt !== null && now - last.endedAt < echoMs) return;
  // once, though every portal hears it: the same event has the same id within a few seconds
  const id = `${instanceId.slice(0, 19)}r${Math.floor(now / 5000).toString(36)}`.padEnd(36, '0').slice(0, 36);
  await insertInstanceEvent(deps.db, { id, instanceId, at: now, userId: null, sentence: say('operations.diary.seen.rebooted') });
}
