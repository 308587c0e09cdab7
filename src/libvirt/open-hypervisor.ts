// One host, ready to be asked: the interface in hypervisor.ts over libvirt's RPC protocol.
import { domainApi } from './domain.ts';
import { EventHub } from './events.ts';
import type { Hypervisor, HypervisorOptions, OpenHypervisor } from './hypervisor.ts';
import { HostLink } from './host-link.ts';
import { networkApi } from './network.ts';
import { nodeApi } from './node.ts';
import { poolNames, storagePoolApi } from './storage-pool.ts';
import { storageVolumeApi } from './storage-volume.ts';

export const openHypervisor: OpenHypervisor = (uri: string, options: HypervisorOptions = {}): Hypervisor => {
  const link = new HostLink(uri, options);
  const events = new EventHub();
  link.prepare = (connection) => events.attach(connection);
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
    async close() {
      events.end();
      await link.close();
    },
  };
};
