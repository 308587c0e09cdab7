// One host, ready to be asked: the interface in hypervisor.ts over libvirt's RPC protocol.
import { readCapabilities } from './capabilities-xml.ts';
import { domainApi } from './domain.ts';
import { HostUnavailableError } from './errors.ts';
import { EventHub } from './events.ts';
import type { Hypervisor, HypervisorOptions, OpenHypervisor } from './hypervisor.ts';
import { HostLink } from './host-link.ts';
import { networkApi } from './network.ts';
import { nodeApi } from './node.ts';
import { readCertificateEnds } from './rpc/certificates.ts';
import type { RpcConnection } from './rpc/connection.ts';
import { poolNames, storagePoolApi } from './storage-pool.ts';
import { storageVolumeApi } from './storage-volume.ts';

export const openHypervisor: OpenHypervisor = (uri: string, options: HypervisorOptions = {}): Hypervisor => {
  const link = new HostLink(uri, options);
  const events = new EventHub();
  link.prepare = async (connection) => {
    await expectMachine(connection, options.hostUuid?.() ?? null);
    await events.attach(connection);
  };
  const pools = poolNames(link);
  return {
    uri,
    get status() { return link.status; },
    ready: (callOptions) => link.ready(callOptions),
    onStatus: (listener) => link.onStatus(listener),
    events: (listenOptions) => events.listen(link.current, listenOptions?.signal),
    domain: domainApi(link),
    node: nodeApi(link),
    storagePool: storagePoolApi(link, pools),
    storageVolume: storageVolumeApi(link, pools),
    network: networkApi(link),
    certificateEnds: (callOptions) => readCertificateEnds(link.target, { ...callOptions, pkiPath: options.pkiPath }),
    async close() {
      events.end();
      await link.close();
    },
  };
};

/** An address can come to be another machine's. Its domains are not ours: whatever we believed about ours would be wrong. */
async function expectMachine(connection: RpcConnection, expected: string | null): Promise<void> {
  if (expected === null) return;
  const found = readCapabilities((await connection.call('CONNECT_GET_CAPABILITIES', {})).capabilities).hostUuid;
  if (found !== expected) throw new HostUnavailableError(`another machine answers at this address: ${found ?? 'one without UUID'} instead of ${expected}`);
}
