// The client against the fake daemon: what a call does when all goes well, late, wrong or not at all.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode, HostUnavailableError, LibvirtError } from '../../src/libvirt/errors.ts';
import type { Hypervisor } from '../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import type { Fault } from '../helpers/fake-libvirtd/faults.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';

const quick = { backoff: { firstMs: 10, maxMs: 50 }, connectTimeoutMs: 1000 };
const unavailable = (words: RegExp) => (error: unknown) => error instanceof HostUnavailableError && words.test(error.message);
const aborted = (error: unknown) => (error as Error).name === 'AbortError';

async function until(what: string, condition: () => boolean, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await delay(5);
  }
}

describe('calls', () => {
  let fake: FakeLibvirtd;
  let host: Hypervisor;
  before(async () => {
    fake = await startFakeLibvirtd({ domains: 2 });
    host = openHypervisor(fake.uri, quick);
    await host.ready();
  });
  beforeEach(async () => {
    fake.faults.clear();
    await host.ready();
  });
  after(async () => {
    await host.close();
    await fake.close();
  });

  it('wait for the first connection', async () => {
    const another = openHypervisor(fake.uri, quick);
    assert.equal(another.status.state, 'connecting');
    assert.equal(await another.node.getHostname(), 'fake');
    await another.close();
    await assert.rejects(another.node.getHostname(), HostUnavailableError);
  });

  it('reject with the error of libvirt, all of it', async () => {
    fake.fail('DOMAIN_CREATE_WITH_FLAGS', { code: 38, domain: 18, message: 'Cannot access storage file: 中' }, { once: true });
    const [domain] = await host.domain.listAll();
    await assert.rejects(host.domain.create(domain?.uuid ?? ''), (error: unknown) => {
      assert.ok(error instanceof LibvirtError);
      assert.deepEqual([error.code, error.domain, error.message, error.procedure], [38, 18, 'Cannot access storage file: 中', 'DOMAIN_CREATE_WITH_FLAGS']);
      return true;
    });
  });

  it('end by their timeout, and the late reply harms nobody', async () => {
    fake.fault('CONNECT_GET_HOSTNAME', { type: 'late', ms: 800 }, { once: true });
    const began = Date.now();
    await assert.rejects(host.node.getHostname({ timeoutMs: 50 }), unavailable(/not answered within 50 ms/));
    assert.ok(Date.now() - began < 750);
    await delay(800);
    assert.equal(host.status.state, 'up');
    assert.equal(await host.node.getHostname(), 'fake');
  });

  it('end by their signal, before, while and after', async () => {
    await assert.rejects(host.node.getHostname({ signal: AbortSignal.abort() }), aborted);
    fake.fault('CONNECT_GET_HOSTNAME', { type: 'late', ms: 100 }, { once: true });
    const stop = new AbortController();
    const call = host.node.getHostname({ signal: stop.signal });
    setTimeout(() => stop.abort(), 20);
    await assert.rejects(call, aborted);
    const late = new AbortController();
    assert.equal(await host.node.getHostname({ signal: late.signal }), 'fake');
    late.abort();
  });

  it('go out four at a time, the others wait and all are answered', async () => {
    fake.mostInFlight = 0;
    fake.fault('CONNECT_GET_HOSTNAME', { type: 'late', ms: 5 }, { times: 30 });
    const names = await Promise.all(Array.from({ length: 30 }, () => host.node.getHostname()));
    assert.equal(names.length, 30);
    assert.equal(fake.mostInFlight, 4);
  });

  it('that time out while they wait are never sent', async () => {
    fake.fault('CONNECT_GET_HOSTNAME', { type: 'late', ms: 500 }, { times: 4 });
    const slow = Array.from({ length: 4 }, () => host.node.getHostname());
    const before = fake.called('CONNECT_GET_LIB_VERSION');
    await assert.rejects(host.node.getLibVersion({ timeoutMs: 20 }), HostUnavailableError);
    await Promise.all(slow);
    await delay(20);
    assert.equal(fake.called('CONNECT_GET_LIB_VERSION'), before);
  });

  it('on a connection whose four places are all lost get another connection', async () => {
    fake.fault('CONNECT_GET_HOSTNAME', { type: 'silence' }, { times: 4 });
    await Promise.all(Array.from({ length: 4 }, () => assert.rejects(host.node.getHostname({ timeoutMs: 30 }), HostUnavailableError)));
    await until('a new connection', () => host.status.state === 'up');
    assert.equal(await host.node.getHostname(), 'fake');
  });

  const breaks: [name: string, fault: Fault, words: RegExp][] = [
    ['a reply that is cut', { type: 'cut' }, /closed the connection/],
    ['a reply that is lost', { type: 'lost' }, /closed the connection|ECONNRESET/],
    ['a connection that ends', { type: 'close' }, /closed the connection|ECONNRESET/],
    ['a frame of 4 GiB', { type: 'frame-length', bytes: 0xffff_ffff }, /does not speak.*frame of/],
    ['a frame of nothing', { type: 'frame-length', bytes: 3 }, /does not speak.*frame of/],
    ['a string of 4 GiB', { type: 'garbage', body: Buffer.from('ffffffff', 'hex') }, /makes no sense/],
    ['a reply with too much', { type: 'garbage', body: Buffer.from('000000016100000000000000', 'hex') }, /makes no sense.*too many/],
    ['an empty reply', { type: 'garbage', body: Buffer.alloc(0) }, /makes no sense/],
  ];
  for (const [name, fault, words] of breaks) {
    it(`survive ${name}: this one fails, the next one works`, async () => {
      fake.fault('CONNECT_GET_HOSTNAME', fault, { once: true });
      await assert.rejects(host.node.getHostname(), unavailable(words));
      await host.ready();
      assert.equal(await host.node.getHostname(), 'fake');
    });
  }

  it('refuse what cannot be sent without hurting the connection', async () => {
    await assert.rejects(host.domain.getState('not-a-uuid'), /not a UUID/);
    assert.equal(host.status.state, 'up');
  });

  it('press the power button by ACPI, and as the driver can where it knows of no choice', async () => {
    const [, domain] = [...fake.domains.keys()];
    const unknownFlag = { code: 8, message: "invalid argument: unsupported flags (0x1) in function testDomainReboot" };
    const flagsSent = (): unknown[] => fake.requests.filter(({ procedure }) => procedure === 'DOMAIN_REBOOT').map(({ args }) => (args as { flags: number }).flags);
    await host.domain.reboot(domain ?? '');
    assert.deepEqual(flagsSent(), [1]);
    fake.fail('DOMAIN_REBOOT', unknownFlag, { once: true });
    await host.domain.reboot(domain ?? '');
    assert.deepEqual(flagsSent(), [1, 1, 0]);
  });

  it('to a silent agent end when libvirt has waited as long as it was told', async () => {
    const [uuid = ''] = fake.domains.keys();
    fake.host.domain(uuid).agentIsSilent = true;
    await assert.rejects(host.domain.getInterfaceAddresses(uuid, 'agent', { timeoutMs: 300 }), HostUnavailableError, 'nobody has told it');
    await host.domain.agentSetResponseTimeout(uuid, 1);
    const began = Date.now();
    await assert.rejects(host.domain.getInterfaceAddresses(uuid, 'agent'), (error: unknown) => error instanceof LibvirtError && error.code === errorCode.agentUnresponsive);
    assert.ok(Date.now() - began >= 990 && Date.now() - began < 4500);
    fake.fail('DOMAIN_AGENT_SET_RESPONSE_TIMEOUT', { code: 39, domain: 7, message: 'unknown procedure: 420' });
    await assert.rejects(host.domain.agentSetResponseTimeout(uuid, 1), /unknown procedure/);
  });

  it('are refused by name when the host wants SASL', async () => {
    const sasl = await startFakeLibvirtd({ handlers: { AUTH_LIST: () => ({ types: [1] }) } });
    const client = openHypervisor(sasl.uri, quick);
    await assert.rejects(client.ready({ timeoutMs: 500 }), unavailable(/SASL, which is not supported/));
    await client.close();
    await sasl.close();
  });

  it('work with polkit', async () => {
    const polkit = await startFakeLibvirtd({ handlers: { AUTH_LIST: () => ({ types: [2] }) } });
    const client = openHypervisor(polkit.uri, quick);
    await client.ready();
    assert.equal(polkit.called('AUTH_POLKIT'), 1);
    await client.close();
    await polkit.close();
  });
});

describe('a connection', () => {
  it('is made again when it is cut, and calls fail at once meanwhile', async () => {
    const fake = await startFakeLibvirtd();
    const host = openHypervisor(fake.uri, quick);
    await host.ready();
    const states: string[] = [];
    host.onStatus(({ state }) => states.push(state));
    await fake.refuse();
    await until('down', () => host.status.state === 'down');
    const began = Date.now();
    await assert.rejects(host.node.getHostname(), HostUnavailableError);
    assert.ok(Date.now() - began < 2000);
    assert.match(host.status.reason ?? '', /ENOENT|ECONNREFUSED|closed/);
    await fake.accept();
    await host.ready();
    assert.equal(await host.node.getHostname(), 'fake');
    assert.equal(states.at(-1), 'up');
    await host.close();
    assert.equal(host.status.state, 'closed');
    await fake.close();
  });

  it('to a hung daemon is given up by keepalive, and comes back when the daemon does', async () => {
    const fake = await startFakeLibvirtd();
    const host = openHypervisor(fake.uri, { ...quick, connectTimeoutMs: 200, keepalive: { intervalSeconds: 0.05, count: 2 } });
    await host.ready();
    fake.hang();
    await assert.rejects(host.node.getHostname(), unavailable(/keepalive/));
    await until('the attempt that hangs too', () => /not connected within 200 ms/.test(host.status.reason ?? ''));
    fake.resume();
    await host.ready();
    assert.equal(await host.node.getHostname(), 'fake');
    await host.close();
    await fake.close();
  });

  it('answers the pings of the daemon and lives as long as its own are answered', async () => {
    const fake = await startFakeLibvirtd();
    const host = openHypervisor(fake.uri, { ...quick, keepalive: { intervalSeconds: 0.2, count: 2 } });
    await host.ready();
    for (const session of fake.sessions) session.ping();
    await delay(1200);
    assert.equal(host.status.state, 'up');
    assert.equal(fake.connections, 1);
    await host.close();
    await fake.close();
  });

  it('that was never made says why', async () => {
    const host = openHypervisor('qemu+unix:///system?socket=/nowhere/sock', quick);
    await assert.rejects(host.ready({ timeoutMs: 500 }), unavailable(/ENOENT/));
    await assert.rejects(host.node.getHostname(), unavailable(/ENOENT/));
    await host.close();
  });

  it('is not tried at full speed when the daemon takes and drops it', async () => {
    const fake = await startFakeLibvirtd({ handlers: { CONNECT_SUPPORTS_FEATURE: () => ({ supported: 0 }) } });
    const host = openHypervisor(fake.uri, { backoff: { firstMs: 20, maxMs: 10_000 } });
    host.onStatus(({ state }) => { if (state === 'up') setImmediate(() => fake.dropConnections()); });
    await delay(500);
    assert.ok(fake.connections < 8, `${fake.connections} connections in 500 ms`);
    await host.close();
    await fake.close();
  });

  it('over TCP on IPv6 works like any other', async (context) => {
    let fake: FakeLibvirtd;
    try {
      fake = await startFakeLibvirtd({ listen: { tcpPort: 0, host: '::1' } });
    } catch {
      return context.skip('no IPv6 here');
    }
    const host = openHypervisor(fake.uri, quick);
    assert.equal(await host.node.getHostname(), 'fake');
    await host.close();
    await fake.close();
  });

  it('ends with the hypervisor at any moment, also while connecting', async () => {
    const fake = await startFakeLibvirtd();
    fake.hang();
    const host = openHypervisor(fake.uri, quick);
    const waiting = assert.rejects(host.node.getHostname(), HostUnavailableError);
    await delay(20);
    await host.close();
    await waiting;
    await fake.close();
  });
});

it('two hundred hung hosts do not slow down a good one, and end by their deadlines', async () => {
  const good = await startFakeLibvirtd({ domains: 5 });
  const hung = await startFakeLibvirtd({ keepRequests: false });
  hung.hang();
  const silent = Array.from({ length: 200 }, () => openHypervisor(hung.uri, quick));
  const calls = silent.map((host) => assert.rejects(host.node.getHostname({ timeoutMs: 300 }), HostUnavailableError));
  const host = openHypervisor(good.uri, quick);
  assert.equal((await host.domain.getAllStats(['state'])).length, 5);
  await Promise.all(calls);
  await Promise.all([host, ...silent].map((one) => one.close()));
  await good.close();
  await hung.close();
});
