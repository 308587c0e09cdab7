// Fake hosts for the benchmarks of ticks, in a process of their own so that only their reader's CPU is counted:
//   fleet-server.ts HOSTS GUESTS FIRST
// Prints one line of JSON, an entry a host, and ends with stdin. A reply is made once and only its counters are moved on
// afterwards: what is measured is reading it.
import { procedures } from '../../src/libvirt/rpc/procedures.ts';
import { XdrWriter } from '../../src/libvirt/rpc/xdr.ts';
import { plainDomainXml } from '../../test/helpers/fake-libvirtd/plain-domain.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../../test/helpers/fake-libvirtd/index.ts';
import { macOf, type FleetHost } from './fleet.ts';

const [hosts = 1, guests = 1, first = 0] = process.argv.slice(2).map(Number);
const blockGroup = 1 << 5;
/** 0: all of them */
const groups = { all: 0, cheap: 1 | 2 | 8 | 16 };
/** counters that move, a second */
const rates: Readonly<Record<string, number>> = {
  'cpu.time': 4e8, 'net.0.rx.bytes': 90_000, 'net.0.tx.bytes': 40_000, 'net.0.rx.pkts': 90, 'net.0.tx.pkts': 60,
  'block.0.rd.bytes': 20_000, 'block.0.wr.bytes': 50_000, 'block.0.rd.reqs': 4, 'block.0.wr.reqs': 12,
};

interface Reply { readonly body: Buffer; readonly counters: readonly { readonly offset: number; readonly rate: number }[] }

function makeReply(fake: FakeLibvirtd, wanted: number): Reply {
  const records = [...fake.domains.values()].map((domain) => ({ domain: domain.ref, params: domain.stats(wanted) }));
  const writer = new XdrWriter(0, 8_000_000);
  procedures.CONNECT_GET_ALL_DOMAIN_STATS.reply.write(writer, { records });
  const body = Buffer.from(writer.finish());
  const counters = Object.entries(rates).flatMap(([name, rate], kind) => {
    const found: { offset: number; rate: number }[] = [];
    // a field is its name, filled up to four bytes, a type of four and the value
    for (let at = body.indexOf(name); at >= 0; at = body.indexOf(name, at + 1)) found.push({ offset: at + Math.ceil(name.length / 4) * 4 + 4, rate: rate * (0.5 + ((found.length * 7 + kind) % 11) / 11) });
    return found;
  });
  return { body, counters };
}

function movedOn({ body, counters }: Reply, seconds: number): Buffer {
  for (const { offset, rate } of counters) body.writeBigUInt64BE(BigInt(Math.round(rate * seconds)), offset);
  return body;
}

async function startHost(index: number): Promise<FleetHost> {
  const startedAt = performance.now();
  const none: Reply = { body: Buffer.alloc(4), counters: [] };
  let replies = { all: none, cheap: none };
  const fake: FakeLibvirtd = await startFakeLibvirtd({
    hostname: `host${index}`, cpus: 32, memoryMib: 262_144, keepRequests: false,
    domains: Array.from({ length: guests }, (_, n) => plainDomainXml(`vm-${index}-${n}`, { vcpus: 2, disks: 2, interfaces: 1 })),
    handlers: {
      CONNECT_GET_ALL_DOMAIN_STATS: ({ stats }: { readonly stats: number }) => {
        const kind = stats === 0 || (stats & blockGroup) !== 0 ? 'all' : 'cheap';
        return movedOn(replies[kind], (performance.now() - startedAt) / 1000 + 1000);
      },
    },
  });
  const ids = [...fake.domains.keys()];
  for (const [n, id] of ids.entries()) {
    await fake.host.create(id, false);
    fake.host.network('default').leases.push({ mac: macOf(index * guests + n), address: `10.${index & 255}.${n >> 8}.${n & 255}`, hostname: null });
  }
  replies = { all: makeReply(fake, groups.all), cheap: makeReply(fake, groups.cheap) };
  return { index, uri: fake.uri, guests: ids };
}

const started: FleetHost[] = [];
for (let index = first; index < first + hosts; index++) started.push(await startHost(index));
process.stdout.write(`${JSON.stringify(started)}\n`);
process.stdin.resume().once('end', () => process.exit());
