// Domain events as async iterables. Registered anew on every connection; each listener then hears 'resync'.
import { isNotSupported } from './errors.ts';
import type { DomainEvent } from './hypervisor.ts';
import type { RpcConnection } from './rpc/connection.ts';
import { domainEvents } from './rpc/procedures.ts';
import { XdrReader } from './rpc/xdr.ts';

/** virDomainEventType and its detail enums, in order of their numbers (include/libvirt/libvirt-domain.h) */
const lifecycle: readonly { readonly event: string; readonly details: readonly string[] }[] = [
  { event: 'defined', details: ['added', 'updated', 'renamed', 'from-snapshot'] },
  { event: 'undefined', details: ['removed', 'renamed'] },
  { event: 'started', details: ['booted', 'migrated', 'restored', 'from-snapshot', 'wakeup'] },
  { event: 'suspended', details: ['paused', 'migrated', 'io-error', 'watchdog', 'restored', 'from-snapshot', 'api-error', 'postcopy', 'postcopy-failed'] },
  { event: 'resumed', details: ['unpaused', 'migrated', 'from-snapshot', 'postcopy', 'postcopy-failed'] },
  { event: 'stopped', details: ['shutdown', 'destroyed', 'crashed', 'migrated', 'saved', 'failed', 'from-snapshot'] },
  { event: 'shutdown', details: ['finished', 'guest', 'host'] },
  { event: 'pm-suspended', details: ['memory', 'disk'] },
  { event: 'crashed', details: ['panicked', 'crashloaded'] },
];
/** virConnectDomainEventAgentLifecycleState and …Reason */
const agentStates = ['unknown', 'connected', 'disconnected'];
const agentReasons = ['unknown', 'domain-started', 'channel'];

const named = (names: readonly string[], number: number): string => names[number] ?? `unknown-${number}`;

const decoders = new Map<number, (reader: XdrReader) => DomainEvent>([
  [domainEvents.lifecycle.number, (reader) => {
    const { dom, event, detail } = domainEvents.lifecycle.message.read(reader);
    const known = lifecycle[event];
    return { type: 'lifecycle', domain: dom, event: known?.event ?? `unknown-${event}`, detail: named(known?.details ?? [], detail) };
  }],
  [domainEvents.reboot.number, (reader) => ({ type: 'reboot', domain: domainEvents.reboot.message.read(reader).dom })],
  [domainEvents.agentLifecycle.number, (reader) => {
    const { dom, state, reason } = domainEvents.agentLifecycle.message.read(reader);
    return { type: 'agent-lifecycle', domain: dom, state: named(agentStates, state), reason: named(agentReasons, reason) };
  }],
  [domainEvents.migrationIteration.number, (reader) => {
    const { dom, iteration } = domainEvents.migrationIteration.message.read(reader);
    return { type: 'migration-iteration', domain: dom, iteration };
  }],
  [domainEvents.jobCompleted.number, (reader) => {
    const { dom, params } = domainEvents.jobCompleted.message.read(reader);
    return { type: 'job-completed', domain: dom, params };
  }],
]);

/** Undefined for a message that is not one of ours. Throws XdrError. */
export function decodeDomainEvent(procedure: number, body: Buffer): DomainEvent | undefined {
  const reader = new XdrReader(body);
  return decoders.get(procedure)?.(reader);
}

/** Events one slow listener may have waiting. Beyond it they are dropped for one 'resync', which says as much. */
const backlogMax = 10_000;

export class EventHub {
  private readonly queues = new Set<EventQueue>();
  private registeredOn: RpcConnection | undefined;
  /** all registrations on that connection are done */
  private flowing = false;

  /** Registers with a new connection, when anybody listens. */
  async attach(connection: RpcConnection): Promise<void> {
    if (this.queues.size === 0 || this.registeredOn === connection) return;
    this.registeredOn = connection;
    this.flowing = false;
    connection.onMessage = (procedure, body) => {
      const event = decodeDomainEvent(procedure, body);
      // What comes before the last registration is covered by the resync that follows.
      if (event !== undefined && this.flowing) this.publish(event);
    };
    await Promise.all(Object.values(domainEvents).map(({ eventId }) => register(connection, eventId)));
    if (this.registeredOn !== connection) return;
    this.flowing = true;
    this.publish({ type: 'resync' });
  }

  /** `connection` is the open one, if any; events of the next ones come through `attach` */
  listen(connection: RpcConnection | undefined, signal: AbortSignal | undefined): AsyncIterable<DomainEvent> {
    const onAbort = () => queue.end();
    const queue = new EventQueue(() => {
      this.queues.delete(queue);
      signal?.removeEventListener('abort', onAbort);
    });
    this.queues.add(queue);
    if (signal?.aborted) queue.end();
    else signal?.addEventListener('abort', onAbort, { once: true });
    if (connection === undefined) return queue;
    if (this.registeredOn !== connection) {
      // A connection that cannot register is broken: it is made anew, and `attach` is called again.
      this.attach(connection).catch((error: unknown) => connection.fail(error as Error));
    } else if (this.flowing) queue.push({ type: 'resync' });
    return queue;
  }

  end(): void {
    for (const queue of [...this.queues]) queue.end();
  }

  private publish(event: DomainEvent): void {
    for (const queue of this.queues) queue.push(event);
  }
}

async function register(connection: RpcConnection, eventId: number): Promise<void> {
  try {
    await connection.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { eventId, dom: null });
  } catch (error) {
    if (!isNotSupported(error)) throw error;
  }
}

class EventQueue implements AsyncIterableIterator<DomainEvent> {
  private events: DomainEvent[] = [];
  private readonly waiting: ((result: IteratorResult<DomainEvent>) => void)[] = [];
  private ended = false;

  constructor(private readonly onEnd: () => void) {}

  push(event: DomainEvent): void {
    const reader = this.waiting.shift();
    if (reader !== undefined) reader({ value: event, done: false });
    else if (this.events.length >= backlogMax) this.events = [{ type: 'resync' }];
    else this.events.push(event);
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.onEnd();
    for (const reader of this.waiting.splice(0)) reader({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<DomainEvent>> {
    const event = this.events.shift();
    if (event !== undefined) return Promise.resolve({ value: event, done: false });
    if (this.ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => { this.waiting.push(resolve); });
  }

  return(): Promise<IteratorResult<DomainEvent>> {
    this.events = [];
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
