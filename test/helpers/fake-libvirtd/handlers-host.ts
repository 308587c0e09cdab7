// Answers to calls about the connection, the host, its storage and its networks.
import { create } from 'xmlbuilder2';
import { readXml, find, textAt } from '../../../src/libvirt/xml-reader.ts';
import { refuse } from './errors.ts';
import type { FakeHost, FakeNetwork } from './host.ts';
import type { Handlers } from './session.ts';
import type { FakePool } from './storage.ts';

/** keepalive, typed string parameters, event callbacks, close callback */
const features = new Set([9, 10, 14, 15]);

export function hostHandlers(host: FakeHost): Handlers {
  return { ...connection(host), ...node(host), ...pools(host), ...volumes(host), ...networks(host) };
}

function connection(host: FakeHost): Handlers {
  return {
    AUTH_LIST: () => ({ types: [0] }),
    AUTH_POLKIT: () => ({ complete: 1 }),
    CONNECT_OPEN: ({ name }, { session }) => { session.uri = name ?? session.uri; },
    CONNECT_CLOSE: () => undefined,
    CONNECT_SUPPORTS_FEATURE: ({ feature }) => ({ supported: features.has(feature) ? 1 : 0 }),
    CONNECT_GET_TYPE: () => ({ type: 'QEMU' }),
    CONNECT_GET_URI: (_args, { session }) => ({ uri: session.uri }),
    CONNECT_IS_SECURE: () => ({ yes: true }),
    CONNECT_GET_HOSTNAME: () => ({ hostname: host.hostname }),
    CONNECT_GET_VERSION: () => ({ version: 7_002_000 }),
    CONNECT_GET_LIB_VERSION: () => ({ version: 9_000_000 }),
    CONNECT_GET_MAX_VCPUS: () => ({ max: 255 }),
    CONNECT_REGISTER_CLOSE_CALLBACK: () => undefined,
    CONNECT_UNREGISTER_CLOSE_CALLBACK: () => undefined,
    CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: ({ eventId }, { session }) => ({ callbackId: session.addCallback(eventId) }),
    CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY: ({ callbackId }, { session }) => session.removeCallback(callbackId),
  };
}

function node(host: FakeHost): Handlers {
  return {
    NODE_GET_INFO: () => ({ model: 'x86_64', memory: host.memoryMib * 1024, cpus: host.cpus, mhz: 2600, nodes: 1, sockets: 1, cores: host.cpus, threads: 1 }),
    INTERFACE_LOOKUP_BY_NAME: ({ name }) => {
      if (!host.interfaces.has(name)) throw refuse.noInterface(name);
      return { iface: { name, mac: '52:54:00:00:00:01' } };
    },
    NODE_GET_FREE_MEMORY: () => ({ free: host.memoryStats().free * 1024 }),
    NODE_GET_CPU_MAP: () => ({ cpumap: Buffer.alloc(Math.ceil(host.cpus / 8), 0xff), online: host.cpus, ret: host.cpus }),
    NODE_GET_SECURITY_MODEL: () => ({ model: [], doi: [] }),
    NODE_GET_CPU_STATS: ({ nparams }) => namedValues(nparams, host.cpuStats()),
    NODE_GET_MEMORY_STATS: ({ nparams }) => namedValues(nparams, host.memoryStats()),
    CONNECT_GET_CAPABILITIES: () => ({ capabilities: capabilitiesXml(host) }),
    CONNECT_GET_DOMAIN_CAPABILITIES: ({ virttype }) => {
      if (virttype === 'kvm' && !host.kvm) throw refuse.invalidArgument('KVM is not supported by \'/usr/bin/qemu-system-x86_64\' on this host');
      return { capabilities: `<domainCapabilities><path>/usr/bin/qemu-system-x86_64</path><domain>${virttype ?? 'qemu'}</domain><arch>x86_64</arch></domainCapabilities>` };
    },
    CONNECT_BASELINE_CPU: () => ({ cpu: `<cpu mode='custom' match='exact'><model fallback='forbid'>${host.cpuModel}</model>${host.kvm ? "<feature policy='require' name='vmx'/>" : ''}<feature policy='require' name='sse2'/></cpu>` }),
    CONNECT_COMPARE_CPU: ({ xml }) => ({ result: textAt(readXml(xml), 'model') === host.cpuModel ? 1 : 0 }),
  };
}

/** libvirt refuses every number of fields but its own; 0 asks for that number. */
function namedValues(asked: number, values: Readonly<Record<string, number>>): { params: { field: string; value: number }[]; nparams: number } {
  const params = Object.entries(values).map(([field, value]) => ({ field, value }));
  if (asked !== 0 && asked !== params.length) throw refuse.invalidArgument(`nparams in virHostCPUGetStats must be equal to ${params.length}`);
  return { params: asked === 0 ? [] : params, nparams: params.length };
}

function capabilitiesXml(host: FakeHost): string {
  const root = create().ele('capabilities');
  const hostElement = root.ele('host');
  hostElement.ele('uuid').txt(host.hostUuid);
  const cpu = hostElement.ele('cpu');
  cpu.ele('arch').txt('x86_64').up().ele('model').txt(host.cpuModel).up().ele('vendor').txt('Intel');
  if (host.kvm) cpu.ele('feature', { name: 'vmx' });
  const cells = hostElement.ele('topology').ele('cells', { num: '1' });
  cells.ele('cell', { id: '0' }).ele('cpus', { num: String(host.cpus) });
  const arch = root.ele('guest').ele('os_type').txt('hvm').up().ele('arch', { name: 'x86_64' });
  arch.ele('wordsize').txt('64');
  arch.ele('domain', { type: 'qemu' });
  if (host.kvm) arch.ele('domain', { type: 'kvm' });
  return root.end({ prettyPrint: true, headless: true });
}

const poolRef = ({ name, uuid }: FakePool) => ({ name, uuid });
const volumeRef = (pool: FakePool, name: string) => ({ pool: pool.name, name, key: pool.pathOf(name) });

function poolByUuid(host: FakeHost, uuid: string): FakePool {
  for (const pool of host.pools.values()) if (pool.uuid === uuid) return pool;
  throw refuse.noPoolWithUuid(uuid);
}

function pools(host: FakeHost): Handlers {
  const of = (ref: { readonly uuid: string }) => poolByUuid(host, ref.uuid);
  return {
    CONNECT_LIST_ALL_STORAGE_POOLS: ({ flags }) => {
      // bits: inactive 1, active 2; 0 is all
      const list = [...host.pools.values()].filter((pool) => (flags & 3) === 0 || (flags & (pool.active ? 2 : 1)) !== 0).map(poolRef);
      return { pools: list, count: list.length };
    },
    STORAGE_POOL_LOOKUP_BY_NAME: ({ name }) => ({ pool: poolRef(host.pool(name)) }),
    STORAGE_POOL_LOOKUP_BY_UUID: ({ uuid }) => ({ pool: poolRef(poolByUuid(host, uuid)) }),
    STORAGE_POOL_LOOKUP_BY_VOLUME: ({ vol }) => ({ pool: poolRef(host.pool(vol.pool)) }),
    STORAGE_POOL_GET_INFO: ({ pool }) => of(pool).info(),
    STORAGE_POOL_GET_XML_DESC: ({ pool }) => ({ xml: of(pool).toXml() }),
    STORAGE_POOL_GET_AUTOSTART: ({ pool }) => ({ yes: of(pool).autostart }),
    STORAGE_POOL_IS_ACTIVE: ({ pool }) => ({ yes: of(pool).active }),
    STORAGE_POOL_IS_PERSISTENT: () => ({ yes: true }),
    STORAGE_POOL_NUM_OF_VOLUMES: ({ pool }) => ({ num: of(pool).volumes().length }),
    STORAGE_POOL_LIST_ALL_VOLUMES: ({ pool }) => {
      const found = of(pool);
      const vols = found.volumes().map((file) => volumeRef(found, file.name));
      return { vols, count: vols.length };
    },
    STORAGE_POOL_REFRESH: ({ pool }) => {
      of(pool).assertActive();
      of(pool).refresh();
    },
    STORAGE_POOL_DEFINE_XML: ({ xml }) => ({ pool: poolRef(definePool(host, xml)) }),
    STORAGE_POOL_BUILD: ({ pool }) => { of(pool); },
    STORAGE_POOL_CREATE: ({ pool }) => {
      const found = of(pool);
      if (found.active) throw refuse.poolActive(found.name);
      found.active = true;
      found.refresh();
    },
    STORAGE_POOL_DESTROY: ({ pool }) => {
      of(pool).assertActive();
      of(pool).active = false;
    },
    STORAGE_POOL_UNDEFINE: ({ pool }) => {
      const found = of(pool);
      if (found.active) throw refuse.poolActive(found.name);
      host.pools.delete(found.name);
    },
    STORAGE_POOL_SET_AUTOSTART: ({ pool, autostart }) => { of(pool).autostart = autostart; },
  };
}

function definePool(host: FakeHost, xml: string): FakePool {
  const root = readXml(xml);
  const name = textAt(root, 'name') ?? '';
  const uuid = textAt(root, 'uuid');
  const existing = host.pools.get(name);
  if (existing !== undefined) {
    if (uuid !== null && uuid !== existing.uuid) throw refuse.poolExists(name, existing.uuid);
    return existing;
  }
  return host.addPool({
    name, active: false, path: textAt(root, 'target', 'path') ?? `/srv/${name}`, kind: root.attributes['type'] === 'netfs' ? 'netfs' : 'dir', ...(uuid === null ? {} : { uuid }),
  });
}

function volumes(host: FakeHost): Handlers {
  const byPath = (path: string) => {
    for (const pool of host.pools.values()) {
      const file = pool.active ? pool.volumes().find(({ name }) => pool.pathOf(name) === path) : undefined;
      if (file !== undefined) return { vol: volumeRef(pool, file.name) };
    }
    throw refuse.noVolumeAt(path);
  };
  const info = (vol: { readonly pool: string; readonly name: string }) => {
    const file = host.pool(vol.pool).volume(vol.name);
    return { type: 0, capacity: file.capacityBytes, allocation: file.allocationBytes };
  };
  return {
    STORAGE_VOL_CREATE_XML: ({ pool, xml }) => {
      const found = poolByUuid(host, pool.uuid);
      return { vol: volumeRef(found, found.createVolume(xml).name) };
    },
    STORAGE_VOL_CREATE_XML_FROM: ({ pool, xml, clonevol }) => {
      const found = poolByUuid(host, pool.uuid);
      return { vol: volumeRef(found, found.createVolume(xml, host.pool(clonevol.pool).volume(clonevol.name)).name) };
    },
    STORAGE_VOL_LOOKUP_BY_NAME: ({ pool, name }) => {
      const found = poolByUuid(host, pool.uuid);
      return { vol: volumeRef(found, found.volume(name).name) };
    },
    STORAGE_VOL_LOOKUP_BY_KEY: ({ key }) => byPath(key),
    STORAGE_VOL_LOOKUP_BY_PATH: ({ path }) => byPath(path),
    STORAGE_VOL_GET_PATH: ({ vol }) => ({ name: host.pool(vol.pool).pathOf(host.pool(vol.pool).volume(vol.name).name) }),
    STORAGE_VOL_GET_INFO: ({ vol }) => info(vol),
    STORAGE_VOL_GET_INFO_FLAGS: ({ vol }) => info(vol),
    STORAGE_VOL_GET_XML_DESC: ({ vol }) => ({ xml: host.pool(vol.pool).volumeXml(vol.name, Date.now() + host.clockAheadMs) }),
    STORAGE_VOL_DELETE: ({ vol }) => host.pool(vol.pool).deleteVolume(vol.name),
    STORAGE_VOL_RESIZE: ({ vol, capacity }) => {
      const file = host.pool(vol.pool).volume(vol.name);
      if (capacity < file.capacityBytes) throw refuse.invalidArgument('Can\'t shrink capacity below current capacity unless shrink flag explicitly specified');
      file.capacityBytes = capacity;
    },
    STORAGE_VOL_UPLOAD: ({ vol, length }, context) => {
      const file = host.pool(vol.pool).volume(vol.name);
      context.stream(() => {
        const pieces: Buffer[] = [];
        return {
          onData: (data) => { pieces.push(data); },
          onFinish: () => {
            file.data = Buffer.concat(pieces).subarray(0, length === 0 ? undefined : length);
            file.allocationBytes = Math.max(file.allocationBytes, file.data.length);
          },
        };
      });
    },
    STORAGE_VOL_DOWNLOAD: ({ vol }, context) => {
      const file = host.pool(vol.pool).volume(vol.name);
      context.stream((channel) => {
        void channel.send(file.data).then(() => channel.end());
        return {};
      });
    },
  };
}

const networkRef = ({ name, uuid }: FakeNetwork) => ({ name, uuid });

function networks(host: FakeHost): Handlers {
  const of = (ref: { readonly uuid: string; readonly name: string }) => {
    for (const network of host.networks.values()) if (network.uuid === ref.uuid) return network;
    throw refuse.noNetwork(ref.name);
  };
  return {
    CONNECT_LIST_ALL_NETWORKS: () => {
      const nets = [...host.networks.values()].map(networkRef);
      return { nets, count: nets.length };
    },
    NETWORK_LOOKUP_BY_NAME: ({ name }) => ({ net: networkRef(host.network(name)) }),
    NETWORK_LOOKUP_BY_UUID: ({ uuid }) => ({ net: networkRef(of({ uuid, name: uuid })) }),
    NETWORK_GET_XML_DESC: ({ net }) => ({ xml: of(net).xml }),
    NETWORK_GET_AUTOSTART: ({ net }) => ({ yes: of(net).autostart }),
    NETWORK_GET_BRIDGE_NAME: ({ net }) => ({ name: find(readXml(of(net).xml), 'bridge')?.attributes['name'] ?? 'virbr0' }),
    NETWORK_IS_ACTIVE: ({ net }) => ({ active: of(net).active }),
    NETWORK_IS_PERSISTENT: () => ({ yes: true }),
    NETWORK_DEFINE_XML: ({ xml }) => ({ net: networkRef(host.defineNetwork(xml)) }),
    NETWORK_CREATE: ({ net }) => {
      if (of(net).active) throw refuse.networkActive();
      of(net).active = true;
    },
    NETWORK_DESTROY: ({ net }) => {
      if (!of(net).active) throw refuse.networkInactive(net.name);
      of(net).active = false;
    },
    NETWORK_UNDEFINE: ({ net }) => { host.networks.delete(of(net).name); },
    NETWORK_SET_AUTOSTART: ({ net, autostart }) => { of(net).autostart = autostart; },
    NETWORK_GET_DHCP_LEASES: ({ net }) => {
      const leases = of(net).leases.map(({ mac, address, hostname }) => ({
        iface: 'virbr0', expiryTime: Math.floor(host.clock() / 1000) + 3600, type: 0, mac, iaid: null, ipaddr: address, prefix: 24, hostname, clientid: null,
      }));
      return { leases, count: leases.length };
    },
  };
}
