// Snapshots of domains. A snapshot is named by its domain and its own name.
import { domainArg } from './domain-ref.ts';
import type { DomainApi } from './hypervisor.ts';
import type { HostLink } from './host-link.ts';

type Snapshots = 'snapshotCreateXML' | 'listSnapshots' | 'snapshotGetXMLDesc' | 'revertToSnapshot' | 'snapshotDelete';

export function snapshotCalls(link: HostLink): Pick<DomainApi, Snapshots> {
  const named = (uuid: string, name: string) => ({ snap: { name, domain: domainArg(uuid) }, flags: 0 });
  return {
    async snapshotCreateXML(uuid, xml, flags = 0, options) {
      return (await link.call('DOMAIN_SNAPSHOT_CREATE_XML', { dom: domainArg(uuid), xml, flags }, options)).snap.name;
    },
    async listSnapshots(uuid, options) {
      const { snapshots } = await link.call('DOMAIN_LIST_ALL_SNAPSHOTS', { dom: domainArg(uuid), needResults: 1, flags: 0 }, options);
      return snapshots.map(({ name }) => name);
    },
    async snapshotGetXMLDesc(uuid, name, options) {
      return (await link.call('DOMAIN_SNAPSHOT_GET_XML_DESC', named(uuid, name), options)).xml;
    },
    async revertToSnapshot(uuid, name, options) {
      await link.call('DOMAIN_REVERT_TO_SNAPSHOT', named(uuid, name), options);
    },
    async snapshotDelete(uuid, name, options) {
      await link.call('DOMAIN_SNAPSHOT_DELETE', named(uuid, name), options);
    },
  };
}
