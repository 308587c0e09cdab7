// Virtual networks, by name, and the DHCP leases of those that libvirt serves itself.
import { isNoNetwork } from './errors.ts';
import type { NetworkApi, NetworkRef } from './hypervisor.ts';
import type { HostLink } from './host-link.ts';
import { ObjectNames } from './object-names.ts';

export function networkApi(link: HostLink): NetworkApi {
  const names = new ObjectNames<NetworkRef>(async (name, options) => (await link.call('NETWORK_LOOKUP_BY_NAME', { name }, options)).net, isNoNetwork);
  return {
    async listAll(options) {
      const { nets } = await link.call('CONNECT_LIST_ALL_NETWORKS', { needResults: 1, flags: 0 }, options);
      return nets.map((net) => names.remember(net));
    },
    isActive: (name, options) => names.with(name, options, async (net) =>
      (await link.call('NETWORK_IS_ACTIVE', { net }, options)).active),
    getXMLDesc: (name, options) => names.with(name, options, async (net) =>
      (await link.call('NETWORK_GET_XML_DESC', { net, flags: 0 }, options)).xml),
    async defineXML(xml, options) {
      return names.remember((await link.call('NETWORK_DEFINE_XML', { xml }, options)).net);
    },
    create: (name, options) => names.with(name, options, async (net) => {
      await link.call('NETWORK_CREATE', { net }, options);
    }),
    destroy: (name, options) => names.with(name, options, async (net) => {
      await link.call('NETWORK_DESTROY', { net }, options);
    }),
    undefine: (name, options) => names.with(name, options, async (net) => {
      await link.call('NETWORK_UNDEFINE', { net }, options);
      names.forget(name);
    }),
    setAutostart: (name, on, options) => names.with(name, options, async (net) => {
      await link.call('NETWORK_SET_AUTOSTART', { net, autostart: on }, options);
    }),
    getDHCPLeases: (name, options) => names.with(name, options, async (net) => {
      const { leases } = await link.call('NETWORK_GET_DHCP_LEASES', { net, mac: null, needResults: 1, flags: 0 }, options);
      return leases.map((lease) => ({
        iface: lease.iface, expiresAt: lease.expiryTime * 1000, mac: lease.mac ?? '', address: lease.ipaddr, prefix: lease.prefix, hostname: lease.hostname,
      }));
    }),
  };
}
