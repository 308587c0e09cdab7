// Answers to calls about domains.
import { create } from 'xmlbuilder2';
import { find, readXml, textAt } from '../../../src/libvirt/xml-reader.ts';
import { state, type FakeDomain } from './domain.ts';
import { refuse } from './errors.ts';
import type { FakeHost } from './host.ts';
import { migrate } from './migration.ts';
import type { Handlers } from './session.ts';

/** VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT */
const fromAgent = 1;

type Ref = { readonly uuid: string; readonly name: string; readonly id: number };

export function domainHandlers(host: FakeHost): Handlers {
  return { ...inventory(host), ...life(host), ...devices(host), ...jobs(host), ...snapshots(host), ...streams(host) };
}

/** bits of virConnectListAllDomains: active 1, inactive 2; 0 is all */
function listed(host: FakeHost, flags: number): FakeDomain[] {
  return [...host.domains.values()].filter((domain) => (flags & 3) === 0 || (flags & (domain.isActive ? 1 : 2)) !== 0);
}

function inventory(host: FakeHost): Handlers {
  return {
    CONNECT_LIST_ALL_DOMAINS: ({ flags }) => {
      const domains = listed(host, flags).map((domain) => domain.ref);
      return { domains, count: domains.length };
    },
    CONNECT_GET_ALL_DOMAIN_STATS: ({ doms, stats, flags }) => ({
      // one that is gone is left out, as the QEMU driver does it
      records: (doms.length > 0 ? doms.flatMap((dom: Ref) => host.domains.get(dom.uuid) ?? []) : listed(host, flags))
        .map((domain: FakeDomain) => ({ domain: domain.ref, params: domain.stats(stats) })),
    }),
    DOMAIN_LOOKUP_BY_UUID: ({ uuid }) => ({ dom: host.domain(uuid).ref }),
    DOMAIN_LOOKUP_BY_NAME: ({ name }) => {
      const found = host.domainNamed(name);
      if (found === undefined) throw refuse.noDomainNamed(name);
      return { dom: found.ref };
    },
    DOMAIN_LOOKUP_BY_ID: ({ id }) => {
      const found = [...host.domains.values()].find((domain) => domain.id === id);
      if (found === undefined) throw refuse.noDomainNamed(String(id));
      return { dom: found.ref };
    },
    DOMAIN_GET_STATE: ({ dom }) => {
      const { state: now, reason } = host.domain(dom.uuid);
      return { state: now, reason };
    },
    DOMAIN_GET_INFO: ({ dom }) => {
      const domain = host.domain(dom.uuid);
      const { memoryKib, vcpus } = domain.live;
      return { state: domain.state, maxMem: memoryKib, memory: memoryKib, nrVirtCpu: vcpus, cpuTime: 0 };
    },
    DOMAIN_GET_XML_DESC: ({ dom, flags }) => ({ xml: host.domain(dom.uuid).toXml({ secure: (flags & 1) !== 0, inactive: (flags & 2) !== 0 }) }),
    DOMAIN_GET_METADATA: ({ dom, uri }) => ({ metadata: metadata(host.domain(dom.uuid), uri ?? '') }),
    DOMAIN_INTERFACE_ADDRESSES: async ({ dom, source }) => {
      const domain = host.running(dom.uuid);
      if (source === fromAgent) await domain.awaitAgent();
      return { ifaces: addresses(host, domain) };
    },
    DOMAIN_AGENT_SET_RESPONSE_TIMEOUT: ({ dom, timeout }) => {
      host.domain(dom.uuid).agentTimeoutSeconds = timeout;
      return { result: 0 };
    },
    DOMAIN_GET_AUTOSTART: ({ dom }) => ({ yes: host.domain(dom.uuid).autostart }),
    DOMAIN_GET_OS_TYPE: () => ({ type: 'hvm' }),
    DOMAIN_GET_MAX_VCPUS: ({ dom }) => ({ num: host.domain(dom.uuid).live.vcpus }),
    DOMAIN_GET_VCPUS_FLAGS: ({ dom }) => ({ num: host.domain(dom.uuid).live.vcpus }),
    DOMAIN_GET_SECURITY_LABEL: () => ({ label: [], enforcing: 0 }),
    DOMAIN_IS_ACTIVE: ({ dom }) => ({ yes: host.domain(dom.uuid).isActive }),
    DOMAIN_IS_PERSISTENT: ({ dom }) => ({ yes: host.domain(dom.uuid).defined !== null }),
    DOMAIN_HAS_MANAGED_SAVE_IMAGE: () => ({ yes: false }),
    DOMAIN_LIST_ALL_CHECKPOINTS: () => ({ checkpoints: [], count: 0 }),
  };
}

function metadata(domain: FakeDomain, namespace: string): string {
  const element = domain.live.metadata.find((node) => Object.entries(node.attributes).some(([key, value]) => key.startsWith('xmlns') && value === namespace));
  if (element === undefined) throw refuse.noMetadata();
  return create().ele(element.name, { ...element.attributes }).end({ headless: true });
}

function addresses(host: FakeHost, domain: FakeDomain): unknown[] {
  const leases = [...host.networks.values()].flatMap((network) => network.leases);
  return domain.live.interfaces.map(({ mac }, i) => ({
    name: `vnet${i}`, hwaddr: mac, addrs: leases.filter((lease) => lease.mac === mac).map((lease) => ({ type: 0, addr: lease.address, prefix: 24 })),
  })).filter(({ addrs }) => addrs.length > 0);
}

function life(host: FakeHost): Handlers {
  const begin = async (dom: Ref, flags: number) => ({ dom: { ...dom, id: (await host.create(dom.uuid, (flags & 1) !== 0)).id } });
  return {
    DOMAIN_DEFINE_XML: ({ xml }) => ({ dom: host.define(xml).ref }),
    DOMAIN_DEFINE_XML_FLAGS: ({ xml }) => ({ dom: host.define(xml).ref }),
    // the reply repeats what was sent, with the new id: so does libvirtd
    DOMAIN_CREATE_WITH_FLAGS: ({ dom, flags }) => begin(dom, flags),
    DOMAIN_CREATE: async ({ dom }) => { await begin(dom, 0); },
    DOMAIN_SHUTDOWN: ({ dom }) => host.shutdown(dom.uuid),
    DOMAIN_SHUTDOWN_FLAGS: ({ dom }) => host.shutdown(dom.uuid),
    DOMAIN_REBOOT: ({ dom }) => host.reboot(dom.uuid),
    DOMAIN_RESET: ({ dom }) => host.reboot(dom.uuid),
    DOMAIN_SUSPEND: ({ dom }) => host.suspend(dom.uuid),
    DOMAIN_RESUME: ({ dom }) => host.resume(dom.uuid),
    DOMAIN_DESTROY: ({ dom }) => host.destroy(dom.uuid),
    DOMAIN_DESTROY_FLAGS: ({ dom }) => host.destroy(dom.uuid),
    DOMAIN_UNDEFINE: ({ dom }) => host.undefine(dom.uuid),
    DOMAIN_UNDEFINE_FLAGS: ({ dom }) => host.undefine(dom.uuid),
    DOMAIN_SET_AUTOSTART: ({ dom, autostart }) => { host.domain(dom.uuid).autostart = autostart; },
  };
}

function devices(host: FakeHost): Handlers {
  return {
    DOMAIN_UPDATE_DEVICE_FLAGS: ({ dom, xml, flags }) => {
      const domain = (flags & 1) !== 0 ? host.running(dom.uuid) : host.domain(dom.uuid);
      const device = readXml(xml);
      if (device.name !== 'graphics') return;
      if (domain.vnc === undefined) throw refuse.noDevice('cannot find existing graphics device to modify of type \'vnc\'');
      domain.vnc.password = device.attributes['passwd'] ?? null;
      domain.vnc.passwordValidTo = device.attributes['passwdValidTo'] ?? null;
    },
    DOMAIN_ATTACH_DEVICE_FLAGS: ({ dom, xml }) => changeDevices(host.domain(dom.uuid), (devicesXml) => devicesXml.replace('</devices>', `${xml}</devices>`)),
    DOMAIN_DETACH_DEVICE_FLAGS: ({ dom, xml }) => detach(host.domain(dom.uuid), xml),
    DOMAIN_BLOCK_RESIZE: ({ dom, disk, size }) => {
      const path = host.running(dom.uuid).live.disks.find(({ target, path: file }) => target === disk || file === disk)?.path;
      if (path === undefined) throw refuse.invalidArgument(`disk '${disk}' not found`);
      for (const pool of host.pools.values()) {
        const file = pool.directory.fileAt(path);
        if (file !== undefined) file.capacityBytes = size;
      }
    },
  };
}

function changeDevices(domain: FakeDomain, change: (xml: string) => string): void {
  domain.live = { ...domain.live, xml: change(domain.live.xml) };
  domain.defined = domain.defined === null ? null : { ...domain.defined, xml: change(domain.defined.xml) };
}

/** Disks and interfaces are told apart by their target and MAC. */
function detach(domain: FakeDomain, xml: string): void {
  const device = readXml(xml);
  const key = device.name === 'disk' ? find(device, 'target')?.attributes['dev'] : find(device, 'mac')?.attributes['address'];
  const doc = create(domain.live.xml);
  let found = false;
  doc.root().each((node) => {
    if (node.node.nodeName !== device.name || key === undefined || !node.toString().includes(`"${key}"`)) return;
    node.remove();
    found = true;
  }, false, true);
  if (!found) throw refuse.noDevice(`no matching ${device.name} found`);
  changeDevices(domain, () => doc.end({ headless: true }));
}

function jobs(host: FakeHost): Handlers {
  return {
    DOMAIN_GET_JOB_STATS: ({ dom, flags }) => {
      const domain = host.domain(dom.uuid);
      if ((flags & 1) === 0 && domain.incoming) throw refuse.statsOnSourceOnly();
      if ((flags & 1) === 0) return domain.jobStats();
      const params = domain.completedJob;
      if ((flags & 2) === 0) domain.completedJob = undefined;
      return params === undefined ? { type: 0, params: {} } : { type: 3, params };
    },
    DOMAIN_GET_JOB_INFO: ({ dom }) => ({
      type: host.domain(dom.uuid).job === undefined ? 0 : 2, timeElapsed: 0, timeRemaining: 0, dataTotal: 0, dataProcessed: 0, dataRemaining: 0,
      memTotal: 0, memProcessed: 0, memRemaining: 0, fileTotal: 0, fileProcessed: 0, fileRemaining: 0,
    }),
    DOMAIN_ABORT_JOB: ({ dom }) => {
      const { job } = host.running(dom.uuid);
      if (job === undefined) throw refuse.noJob();
      job.canceled = true;
    },
    DOMAIN_MIGRATE_PERFORM3_PARAMS: async ({ dom, dconnuri, params, flags }) => {
      // a reader of typed parameters keeps one of each name
      const disk = params['migrate_disks'];
      await migrate(host, dom.uuid, { destinationUri: dconnuri ?? '', flags, disks: typeof disk === 'string' ? [disk] : [] });
      return { cookieOut: Buffer.alloc(0) };
    },
    DOMAIN_MIGRATE_SET_MAX_DOWNTIME: ({ dom }) => { host.running(dom.uuid); },
    DOMAIN_MIGRATE_SET_MAX_SPEED: ({ dom }) => { host.running(dom.uuid); },
    DOMAIN_MIGRATE_START_POST_COPY: ({ dom }) => {
      const { job } = host.running(dom.uuid);
      if (job === undefined) throw refuse.noJob();
      job.postCopy = true;
    },
  };
}

function snapshots(host: FakeHost): Handlers {
  const existing = (dom: Ref, name: string) => {
    const xml = host.domain(dom.uuid).snapshots.get(name);
    if (xml === undefined) throw refuse.noSnapshot(name);
    return xml;
  };
  return {
    DOMAIN_SNAPSHOT_CREATE_XML: ({ dom, xml }) => {
      const domain = host.domain(dom.uuid);
      const name = textAt(readXml(xml), 'name') ?? String(Math.floor(host.clock() / 1000));
      domain.snapshots.set(name, xml);
      return { snap: { name, domain: domain.ref } };
    },
    DOMAIN_SNAPSHOT_GET_XML_DESC: ({ snap }) => ({ xml: existing(snap.domain, snap.name) }),
    DOMAIN_REVERT_TO_SNAPSHOT: ({ snap }) => { existing(snap.domain, snap.name); },
    DOMAIN_SNAPSHOT_DELETE: ({ snap }) => {
      existing(snap.domain, snap.name);
      host.domain(snap.domain.uuid).snapshots.delete(snap.name);
    },
    DOMAIN_LIST_ALL_SNAPSHOTS: ({ dom }) => {
      const domain = host.domain(dom.uuid);
      const list = [...domain.snapshots.keys()].map((name) => ({ name, domain: domain.ref }));
      return { snapshots: list, count: list.length };
    },
  };
}

/** a picture of one black point */
const onePoint = Buffer.concat([Buffer.from('P6\n1 1\n255\n'), Buffer.from([0, 0, 0])]);

function streams(host: FakeHost): Handlers {
  return {
    /** greets, then sends back what it gets; ends when the guest is gone */
    DOMAIN_OPEN_CONSOLE: ({ dom }, context) => {
      const domain = host.running(dom.uuid);
      context.stream((channel) => {
        void channel.send(Buffer.from(`${domain.name} login: `));
        const timer = setInterval(() => { if (!domain.isActive) { clearInterval(timer); channel.end(); } }, 20).unref();
        const stop = () => clearInterval(timer);
        return { onData: (data) => { void channel.send(data); }, onFinish: stop, onAbort: stop };
      });
    },
    DOMAIN_SCREENSHOT: ({ dom }, context) => {
      const domain = host.running(dom.uuid);
      if (domain.state === state.shutoff) throw refuse.notRunning();
      context.stream((channel) => {
        void channel.send(onePoint).then(() => channel.end());
        return {};
      });
      return { mime: 'image/x-portable-pixmap' };
    },
  };
}
