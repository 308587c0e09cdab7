// The fake libvirtd of bulk-stats, in a process of its own. Prints its URI and the size of the reply; ends with stdin.
import { procedures } from '../../src/libvirt/rpc/procedures.ts';
import { XdrWriter } from '../../src/libvirt/rpc/xdr.ts';
import { plainDomainXml } from '../../test/helpers/fake-libvirtd/plain-domain.ts';
import { startFakeLibvirtd } from '../../test/helpers/fake-libvirtd/index.ts';

const domains = Number(process.argv[2]);
const fake = await startFakeLibvirtd({
  keepRequests: false, listen: { tcpPort: 0 },
  domains: Array.from({ length: domains }, (_, i) => plainDomainXml(`vm-${String(i).padStart(5, '0')}`, { vcpus: 8, disks: 4, interfaces: 3 })),
  // the reply is made once: what is measured is reading it
  handlers: { CONNECT_GET_ALL_DOMAIN_STATS: () => body },
});
for (const { uuid } of fake.domains.values()) await fake.host.create(uuid, false);
const records = [...fake.domains.values()].map((domain) => ({ domain: domain.ref, params: domain.stats(0) }));
const writer = new XdrWriter(0, 8_000_000);
procedures.CONNECT_GET_ALL_DOMAIN_STATS.reply.write(writer, { records });
const body = Buffer.from(writer.finish());
process.stdout.write(`${JSON.stringify({ uri: fake.uri, replyBytes: body.length })}\n`);
process.stdin.resume().once('end', () => process.exit());
