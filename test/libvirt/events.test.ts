// Events: what happens, in order, to everybody who listens; and 'resync' whenever something may have been missed.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { DomainEvent, Hypervisor } from '../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';

const quick = { backoff: { firstMs: 10, maxMs: 50 } };

/** Collects events; resolves when they have begun to flow. */
async function collect(host: Hypervisor): Promise<{ readonly seen: string[]; reach(count: number): Promise<string[]> }> {
  const seen: string[] = [];
  void (async () => {
    for await (const event of host.events()) seen.push(event.type === 'lifecycle' ? `${event.event}/${event.detail}` : event.type);
  })();
  const reach = async (count: number) => {
    for (const end = Date.now() + 20_000; seen.length < count && Date.now() < end;) await new Promise((resolve) => setTimeout(resolve, 2));
    return seen;
  };
  await reach(1);
  return { seen, reach };
}

/** Reads on until this many events are there. */
async function take(events: AsyncIterable<DomainEvent>, count: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of events) {
    seen.push(event.type === 'lifecycle' ? `${event.event}/${event.detail}` : event.type);
    if (seen.length === count) break;
  }
  return seen;
}

describe('events', () => {
  let fake: FakeLibvirtd;
  let host: Hypervisor;
  const uuid = () => [...fake.domains.keys()][0] ?? '';
  beforeEach(async () => {
    fake = await startFakeLibvirtd({ domains: 1, acpiDelayMs: 1 });
    host = openHypervisor(fake.uri, quick);
  });
  afterEach(async () => {
    await host.close();
    await fake.close();
  });

  it('begin with resync and tell the life of a domain', async () => {
    const { reach } = await collect(host);
    await host.domain.suspend(uuid());
    await host.domain.resume(uuid());
    await host.domain.reboot(uuid());
    await host.domain.shutdown(uuid());
    const another = take(host.events(), 1);
    assert.deepEqual(await another, ['resync']);
    while (fake.domains.get(uuid())?.isActive) await new Promise((resolve) => setTimeout(resolve, 2));
    await host.domain.create(uuid());
    await host.domain.destroy(uuid());
    await host.domain.undefine(uuid());
    assert.deepEqual(await reach(10), [
      'resync', 'suspended/paused', 'resumed/unpaused', 'reboot', 'shutdown/guest', 'stopped/shutdown', 'resumed/unpaused', 'started/booted', 'stopped/destroyed', 'undefined/removed',
    ]);
  });

  it('come again after the connection was lost, with resync in between', async () => {
    const { reach } = await collect(host);
    await host.domain.suspend(uuid());
    fake.dropConnections();
    fake.host.resume(uuid());
    while (host.status.state === 'up') await new Promise((resolve) => setTimeout(resolve, 2));
    await host.ready();
    await host.domain.suspend(uuid());
    assert.deepEqual(await reach(4), ['resync', 'suspended/paused', 'resync', 'suspended/paused']);
  });

  it('end by the signal, by break, and with the connection', async () => {
    await host.ready();
    const stop = new AbortController();
    const stopped = take(host.events({ signal: stop.signal }), 99);
    const closed = take(host.events(), 99);
    setTimeout(() => stop.abort(), 20);
    assert.deepEqual(await stopped, ['resync']);
    await host.close();
    assert.deepEqual(await closed, ['resync']);
  });

  it('that nobody reads become one resync in place of a heap', async () => {
    await collect(host);
    const events = host.events();
    for (let i = 0; i < 10_050; i++) fake.host.reboot(uuid());
    await host.node.getHostname();
    const seen = await take(events, 1);
    assert.deepEqual(seen, ['resync']);
  });

  it('of kinds that the driver does not have are left out', async () => {
    fake.fail('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { code: 3, message: 'no' }, { when: (args) => args['eventId'] === 18 });
    const { reach } = await collect(host);
    await host.domain.suspend(uuid());
    assert.deepEqual(await reach(2), ['resync', 'suspended/paused']);
  });
});
