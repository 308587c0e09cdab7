// Live migration between two fake hosts, as the product uses it: on a connection of its own, watched from the other one.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isNoDomain, isOperationAborted, LibvirtError } from '../../src/libvirt/errors.ts';
import type { Hypervisor } from '../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { plainDomainXml } from '../helpers/fake-libvirtd/plain-domain.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';

const uuid = '11111111-2222-4333-8444-555555555555';
/** VIR_MIGRATE_LIVE | PERSIST_DEST | UNDEFINE_SOURCE */
const flags = 1 | 8 | 16;

describe('live migration', () => {
  let from: FakeLibvirtd, to: FakeLibvirtd;
  let source: Hypervisor, target: Hypervisor;
  beforeEach(async () => {
    from = await startFakeLibvirtd({ hostname: 'from', domains: [plainDomainXml('a', { uuid })], migrationMs: 150 });
    to = await startFakeLibvirtd({ hostname: 'to', listen: { tcpPort: 0 }, vncBasePort: 6000 });
    source = openHypervisor(from.uri);
    target = openHypervisor(to.uri);
    await source.domain.create(uuid);
  });
  afterEach(async () => {
    await Promise.all([source.close(), target.close()]);
    await Promise.all([from.close(), to.close()]);
  });
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    for (const end = Date.now() + 20_000; !(await holds()); await delay(5)) if (Date.now() > end) assert.fail(`never: ${String(holds)}`);
  };
  const migrate = () => source.domain.migrate(uuid, { destinationUri: to.uri, params: { bandwidth: { type: 'ullong', value: 100 } }, flags });

  it('moves the domain, with progress meanwhile and statistics afterwards', async () => {
    await source.domain.updateDevice(uuid, '<graphics type="vnc" passwd="abcd1234" passwdValidTo="2030-01-01T00:00:00"/>', { live: true, config: false });
    from.host.migrationMs = 60_000;
    const done = migrate();
    await until(async () => Number((await source.domain.getJobStats(uuid)).params['memory_processed'] ?? 0) > 0);
    const { type, params } = await source.domain.getJobStats(uuid);
    assert.equal(type, 2);
    assert.ok(Number(params['memory_processed']) > 0 && Number(params['memory_remaining']) > 0);
    from.host.migrations.rush();
    await done;
    assert.equal((await target.domain.getState(uuid)).state, 'running');
    assert.equal(await source.domain.lookupByUUID(uuid), undefined);
    assert.deepEqual(to.domains.get(uuid)?.vnc, { port: 6000, password: 'abcd1234', passwordValidTo: '2030-01-01T00:00:00' });
  });

  it('tells its rounds and its end as events', async () => {
    const seen: string[] = [];
    void (async () => { for await (const event of source.events()) seen.push(event.type === 'lifecycle' ? `${event.event}/${event.detail}` : event.type); })();
    await until(() => seen.length > 0);
    await migrate();
    await source.node.getHostname();
    assert.deepEqual(seen, ['resync', 'migration-iteration', 'migration-iteration', 'migration-iteration', 'suspended/migrated', 'undefined/removed', 'stopped/migrated', 'job-completed']);
  });

  it('can be canceled, and then nothing has moved', async () => {
    from.host.migrationMs = 60_000;
    const done = assert.rejects(migrate(), isOperationAborted);
    await until(() => from.host.domain(uuid).job !== undefined);
    await source.domain.abortJob(uuid);
    await done;
    assert.equal((await source.domain.getState(uuid)).state, 'running');
    assert.equal(await target.domain.lookupByUUID(uuid), undefined);
  });

  it('goes on when the one who asked gives up', async () => {
    const stop = new AbortController();
    const asked = source.domain.migrate(uuid, { destinationUri: to.uri, params: {}, flags }, { signal: stop.signal });
    setTimeout(() => stop.abort(), 30);
    await assert.rejects(asked, (error: unknown) => (error as Error).name === 'AbortError');
    await until(async () => (await source.domain.lookupByUUID(uuid)) === undefined);
    assert.equal((await target.domain.getState(uuid)).state, 'running');
    await assert.rejects(source.domain.getState(uuid), isNoDomain);
  });

  it('is refused where it cannot work, and nothing has moved', async () => {
    const cases: [name: string, uri: string, code: number][] = [['nobody there', 'qemu+tcp://127.0.0.1:1/system', 38], ['itself', from.uri, 1]];
    for (const [name, destinationUri, code] of cases) {
      await assert.rejects(source.domain.migrate(uuid, { destinationUri, params: {}, flags }), (error: unknown) => error instanceof LibvirtError && error.code === code, name);
    }
    await target.domain.defineXML(plainDomainXml('a'));
    await assert.rejects(migrate(), /already exists with uuid/);
    assert.equal((await source.domain.getState(uuid)).state, 'running');
  });

  it('fails without harm when the target has not the disk', async () => {
    const { uuid: other } = await source.domain.defineXML(plainDomainXml('b').replace(/\/var\/lib\/images\/[^']+/, '/srv/default/b'));
    await source.storageVolume.createXML('default', '<volume><name>b</name><capacity>1</capacity></volume>');
    await source.domain.create(other);
    await assert.rejects(source.domain.migrate(other, { destinationUri: to.uri, params: {}, flags }), /No such file/);
    assert.equal((await source.domain.getState(other)).state, 'running');
    assert.equal(await target.domain.lookupByUUID(other), undefined);
  });

  it('takes no destination that is itself', async () => {
    for (const destinationUri of ['qemu:///system', 'qemu+unix:///system', 'qemu+tcp://localhost/system']) {
      await assert.rejects(source.domain.migrate(uuid, { destinationUri, params: {}, flags }), RangeError);
    }
  });

  it('leaves all four places of the control connection free', async () => {
    from.host.migrationMs = 60_000;
    const moves = migrate();
    await until(() => from.host.domain(uuid).job !== undefined);
    await Promise.all(Array.from({ length: 8 }, () => source.node.getHostname({ timeoutMs: 20_000 })));
    from.host.migrations.rush();
    await moves;
  });
});
