// What the check of a host finds beside the other hosts: bridges, clock, CPUs, and whether shared pools are the same files.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { randomUUID } from 'node:crypto';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { systemClock as clock } from '../../src/clock.ts';
import { addHost, changeHost, HostProblemError, type HostInput } from '../../src/operations/host-add.ts';
import { checkHost, type HostReport } from '../../src/operations/host-check.ts';
import { selectOptionalHostCheck } from '../../src/store/host-checks.ts';
import { selectHostPools } from '../../src/store/hosts.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { startFakeLibvirtd, type FakeLibvirtd, type FakeLibvirtdOptions } from '../helpers/fake-libvirtd/index.ts';
import { FakeDirectory } from '../helpers/fake-libvirtd/storage.ts';

interface Site {
  readonly database: TestDatabase;
  readonly deps: Parameters<typeof addHost>[0];
  fake(options?: FakeLibvirtdOptions): Promise<FakeLibvirtd>;
  report(fake: FakeLibvirtd): Promise<HostReport>;
}

async function onSite(work: (site: Site) => Promise<void>): Promise<void> {
  const database = await createTestDatabase();
  const fakes: FakeLibvirtd[] = [];
  const deps = { db: database.db, openHost: openHypervisor, clock };
  try {
    await work({
      database, deps,
      async fake(options = {}) {
        const fake = await startFakeLibvirtd({ hostUuid: randomUUID(), ...options });
        fakes.push(fake);
        return fake;
      },
      async report(fake) {
        const check = await checkHost(deps, fake.uri);
        return check.ok ? check.report : assert.fail(JSON.stringify(check.problem));
      },
    });
  } finally {
    await Promise.all(fakes.map((fake) => fake.close()));
    await database.close();
  }
}

/** Fakes listen on a socket of this machine, which other hosts could not reach: that is a test of its own. */
const kinds = (report: HostReport): string[] => report.warnings.map(({ kind }) => kind).filter((kind) => kind !== 'migration-local').sort();
const shared = (pool: FakeDirectory): FakeLibvirtdOptions => ({ pools: [{ name: 'default', directory: pool }] });

async function problemOf(promise: Promise<unknown>): Promise<[string, string]> {
  const error: unknown = await promise.then(() => undefined, (e: unknown) => e);
  assert.ok(error instanceof HostProblemError, String(error));
  return [error.problem.kind, error.problem.field];
}

const emulated = ['no-kvm'];

describe('a host beside others', () => {
  test('alone and in order: nothing to say but that it emulates', () => onSite(async ({ fake, report }) => {
    const found = await report(await fake());
    assert.deepEqual(kinds(found), emulated);
    assert.ok(found.clock !== null && Math.abs(found.clock.aheadMs) < 2000, JSON.stringify(found.clock));
    assert.deepEqual(found.networks, [{ name: 'default', active: true, mode: 'nat', bridge: 'virbr0', bridgeMissing: false }]);
  }));

  test('its clock is told when it is off by more than five seconds, either way', () => onSite(async ({ fake, report }) => {
    assert.deepEqual(kinds(await report(await fake({ clockAheadMs: 4000 }))), emulated);
    assert.deepEqual(kinds(await report(await fake({ clockAheadMs: 9000 }))), ['clock-ahead', ...emulated]);
    const behind = await report(await fake({ clockAheadMs: -3_600_000 }));
    assert.deepEqual(kinds(behind), ['clock-behind', ...emulated]);
    assert.equal(behind.warnings.find(({ kind }) => kind === 'clock-behind')?.sentence.params?.['seconds'], 3600);
  }));

  test('a network whose bridge is missing is told and not taken; one whose bridge is there is', () => onSite(async ({ deps, fake, report }) => {
    const host = await fake({ networks: [{ name: 'lan', bridge: 'br0' }, { name: 'office', bridge: 'br9' }] });
    host.host.interfaces.add('br9');
    const found = await report(host);
    assert.deepEqual(found.networks.map(({ name, bridgeMissing }) => [name, bridgeMissing]), [['lan', true], ['office', false]]);
    const input: HostInput = { name: 'kvm1', uri: host.uri, network: 'lan', pools: [{ name: 'default', shared: false }] };
    assert.deepEqual(await problemOf(addHost(deps, input)), ['bridge-missing', 'network']);
    // left to the portal, it takes the one that works
    assert.equal((await addHost(deps, { name: 'kvm1', uri: host.uri })).host.network, 'office');
  }));

  test('a libvirt without its interface driver cannot tell, and this is said', () => onSite(async ({ fake, deps }) => {
    const host = await fake({ networks: [{ name: 'lan', bridge: 'br0' }] });
    host.fail('INTERFACE_LOOKUP_BY_NAME', { code: 3, domain: 0, message: 'this function is not supported by the connection driver: virInterfaceLookupByName' });
    const check = await checkHost(deps, host.uri);
    assert.ok(check.ok);
    assert.deepEqual(kinds(check.report), ['bridge-unknown', ...emulated]);
  }));

  test('CPUs: neither way, one way, and not between KVM and emulation', () => onSite(async ({ deps, fake, report }) => {
    const first = await fake({ kvm: true, cpuModel: 'Skylake-Server' });
    await addHost(deps, { name: 'kvm1', uri: first.uri });
    assert.deepEqual(kinds(await report(await fake({ kvm: true, cpuModel: 'Skylake-Server' }))), []);
    assert.deepEqual(kinds(await report(await fake({ kvm: true, cpuModel: 'EPYC' }))), ['cpu-differs']);
    assert.deepEqual(kinds(await report(await fake())), ['no-kvm', 'virt-differs']);
    // a newer CPU takes guests of the older one, not the other way round
    const newer = await fake({ kvm: true, cpuModel: 'Icelake-Server' });
    newer.fault('CONNECT_COMPARE_CPU', { type: 'garbage', body: Buffer.from([0, 0, 0, 2]) });
    assert.deepEqual(kinds(await report(newer)), ['cpu-from-only']);
  }));

  test('a pool called shared must be the same files on the others: a marker tells, and is gone afterwards', () => onSite(async ({ deps, database, fake }) => {
    const directory = new FakeDirectory('/srv/default');
    const [first, second, stranger] = [await fake(shared(directory)), await fake(shared(directory)), await fake()];
    await addHost(deps, { name: 'kvm1', uri: first.uri, pools: [{ name: 'default', shared: true }] });
    const report = await checkHost(deps, second.uri);
    assert.ok(report.ok);
    assert.deepEqual(report.report.pools[0]?.others, [{ hostName: 'kvm1', sameFiles: true, shared: true }]);
    // its own path and name, other files
    assert.deepEqual(await problemOf(addHost(deps, { name: 'kvm3', uri: stranger.uri, pools: [{ name: 'default', shared: true }] })), ['pool-not-shared', 'pools']);
    // the same files under another name would be copied onto themselves
    assert.deepEqual(await problemOf(addHost(deps, { name: 'kvm2', uri: second.uri, pools: [{ name: 'default', shared: false }] })), ['pool-is-shared', 'pools']);
    // left to the portal, it sees for itself
    const { host } = await addHost(deps, { name: 'kvm2', uri: second.uri });
    const other = await addHost(deps, { name: 'kvm3', uri: stranger.uri });
    const pools = await selectHostPools(database.db);
    const again = await addHost(deps, { name: 'kvm1', uri: first.uri });
    assert.deepEqual([again.created, pools.get(again.host.id)], [false, pools.get(host.id)]);
    assert.notDeepEqual(pools.get(other.host.id), pools.get(host.id));
    assert.deepEqual([...directory.files.keys(), ...stranger.host.pool('default').directory.files.keys()], []);
    // and later, when the mount is gone and another directory lies under the same path
    second.host.pools.clear();
    second.host.addPool({ name: 'default', path: '/srv/default' });
    assert.deepEqual(await problemOf(changeHost(deps, host, { name: 'kvm2', uri: second.uri, network: 'default', pools: [{ name: 'default', shared: true }] })), ['pool-not-shared', 'pools']);
  }));

  test('a list that NFS shows too late is not taken for other files', () => onSite(async ({ deps, fake }) => {
    const directory = new FakeDirectory('/srv/default');
    const [first, second] = [await fake(shared(directory)), await fake(shared(directory))];
    await addHost(deps, { name: 'kvm1', uri: first.uri, pools: [{ name: 'default', shared: true }] });
    first.host.pool('default').refresh = () => undefined;
    const check = await checkHost(deps, second.uri);
    assert.ok(check.ok);
    assert.equal(check.report.pools[0]?.others[0]?.sameFiles, true);
  }));

  test('others that do not answer are said to be unasked, and cost little time', () => onSite(async ({ deps, fake }) => {
    const directory = new FakeDirectory('/srv/default');
    const [first, second] = [await fake(shared(directory)), await fake(shared(directory))];
    await addHost(deps, { name: 'kvm1', uri: first.uri, pools: [{ name: 'default', shared: true }] });
    first.hang();
    const startedAt = Date.now();
    const { host } = await addHost(deps, { name: 'kvm2', uri: second.uri, pools: [{ name: 'default', shared: true }] });
    assert.ok(Date.now() - startedAt < 15_000);
    assert.equal(host.state, 'up');
  }));

  test('the address for moves: this machine’s own is none, another machine’s is refused, and a silent one is told', () => onSite(async ({ deps, database, fake }) => {
    const [first, second] = [await fake(), await fake()];
    await addHost(deps, { name: 'kvm1', uri: first.uri });
    const { host } = await addHost(deps, { name: 'kvm2', uri: second.uri });
    const recorded = await selectOptionalHostCheck(database.db, host.id);
    assert.ok(recorded?.warnings.some(({ kind }) => kind === 'migration-local'));
    const input = { name: 'kvm2', uri: second.uri, network: 'default', pools: [{ name: 'default', shared: false }] };
    await changeHost(deps, host, { ...input, migrationUri: 'qemu+tcp://192.0.2.1:1/system' });
    assert.ok((await selectOptionalHostCheck(database.db, host.id))?.warnings.some(({ kind }) => kind === 'migration-unreachable'));
    assert.deepEqual(await problemOf(changeHost(deps, host, { ...input, migrationUri: 'not a URI' })), ['invalid-uri', 'migrationUri']);
  }));
});
