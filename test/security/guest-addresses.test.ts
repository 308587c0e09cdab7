// A guest's own agent may say anything where its address is asked for; it is read by people, and kept in a short column.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createCollectMetrics } from '../../src/jobs/collect-metrics.ts';
import { createCloud, type Cloud } from '../helpers/cloud.ts';

let cloud: Cloud;
beforeEach(async () => { cloud = await createCloud(); });
afterEach(() => cloud.close());

describe('what a hostile guest says its address is', () => {
  it('is not kept when it is none, and does not hide the addresses of others', async () => {
    cloud.startRunner();
    const [honest, ...hostile] = await Promise.all(Array.from({ length: 4 }, () => cloud.running()));
    assert.ok(honest);
    const says = ['<script>alert(1)</script>', `10.0.0.${'9'.repeat(5000)}`, '10.0.0.1 or call +886-000', '位址', '', '10.0.0.256', `2001:db8::1%${'z'.repeat(40)}`, `2001:db8::2%${'e'.repeat(12)}`, '999.1.1.1', '0x7f.1', '127.0.0.1', 'fe80::1'];
    const lease = (mac: string, address: string) => ({ mac, address, hostname: null });
    // leases of a network that is not asked: what is told of one guest alone
    cloud.fake.host.networks.set('agents', {
      name: 'agents', uuid: randomUUID(), xml: '<network/>', active: true, autostart: true,
      leases: [lease(honest.mac, '192.0.2.7'), ...hostile.flatMap(({ mac }) => says.map((address) => lease(mac, address))), lease(hostile[0]?.mac ?? '', '192.0.2.66')],
    });
    const tick = createCollectMetrics(cloud.deps, { pollIntervalMs: 10_000 });
    await tick(new AbortController().signal);
    await tick(new AbortController().signal);
    const addressesOf = async (id: string): Promise<readonly string[]> => (await cloud.instance(id)).addresses;
    assert.deepEqual(await addressesOf(honest.id), ['192.0.2.7']);
    assert.deepEqual(await Promise.all(hostile.map(({ id }) => addressesOf(id))), [['192.0.2.66'], [], []]);
  });
});
