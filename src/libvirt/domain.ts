// Domains: what there is, life cycle, devices, jobs, migration. Numbers and units of the procedures are in rpc/procedures.ts.
import { isIP } from 'node:net';
import { isNoDomain, isNoMetadata, isUnknownFlag } from './errors.ts';
import type { CallOptions, DomainApi, DomainRef, DomainState, StatsGroup } from './hypervisor.ts';
import type { HostLink } from './host-link.ts';
import { domainArg } from './domain-ref.ts';
import { snapshotCalls } from './domain-snapshot.ts';
import { openBidirectional, openDownload } from './streams.ts';
import { parseUri } from './uri.ts';

/** virDomainState */
const states: readonly DomainState[] = ['no-state', 'running', 'blocked', 'paused', 'shutdown', 'shutoff', 'crashed', 'pm-suspended'];

/** VIR_DOMAIN_STATS_* */
const statsBits: Readonly<Record<StatsGroup, number>> = {
  state: 1 << 0, 'cpu-total': 1 << 1, balloon: 1 << 2, vcpu: 1 << 3, interface: 1 << 4, block: 1 << 5, dirtyrate: 1 << 9,
};
/** VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT: what a busy monitor would have to be asked for is left out */
const statsNoWait = 1 << 29;

const defineValidate = 1;
const startPaused = 1;
/** VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN, VIR_DOMAIN_REBOOT_ACPI_POWER_BTN; left to itself libvirt first asks the agent in the guest, which may keep it waiting */
const byAcpi = 1;
const destroyGraceful = 1;
/** MANAGED_SAVE | SNAPSHOTS_METADATA | NVRAM | CHECKPOINTS_METADATA: nothing of the domain stays behind */
const undefineAll = 1 | 2 | 4 | 16;
const undefineBasic = 1 | 2;
const xmlSecure = 1;
const xmlInactive = 2;
const affect = (flags: { readonly live: boolean; readonly config: boolean }): number => (flags.live ? 1 : 0) | (flags.config ? 2 : 0);
const blockResizeBytes = 1;
const metadataElement = 2;
const addressSources = { lease: 0, agent: 1, arp: 2 } as const;
const jobStatsCompleted = 1;
const jobStatsKeepCompleted = 2;
const migratePeerToPeer = 2;

/** A driver refuses flags it does not know before it does anything; then the call is made with those that every driver has. */
async function preferFlags(flags: number, basic: number, call: (flags: number) => Promise<unknown>): Promise<void> {
  try {
    await call(flags);
  } catch (error) {
    if (!isUnknownFlag(error)) throw error;
    await call(basic);
  }
}

export function domainApi(link: HostLink): DomainApi {
  return { ...inventoryCalls(link), ...lifeCalls(link), ...deviceCalls(link), ...jobCalls(link), ...snapshotCalls(link), ...streamCalls(link) };
}

/** The agent is the guest's own, and what it calls an address may be any text. A zone means something to the guest alone. */
function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%');
}

type Inventory = 'listAll' | 'lookupByUUID' | 'getState' | 'getXMLDesc' | 'getMetadata' | 'getInterfaceAddresses' | 'agentSetResponseTimeout' | 'getAllStats' | 'listGetStats';

function inventoryCalls(link: HostLink): Pick<DomainApi, Inventory> {
  const askStats = async (doms: readonly DomainRef[], groups: readonly StatsGroup[], options?: CallOptions) => {
    const stats = groups.reduce((bits, group) => bits | statsBits[group], 0);
    return (await link.call('CONNECT_GET_ALL_DOMAIN_STATS', { doms, stats, flags: statsNoWait }, options)).records;
  };
  return {
    async listAll(options) {
      return (await link.call('CONNECT_LIST_ALL_DOMAINS', { needResults: 1, flags: 0 }, options)).domains;
    },
    async lookupByUUID(uuid, options) {
      try {
        return (await link.call('DOMAIN_LOOKUP_BY_UUID', { uuid }, options)).dom;
      } catch (error) {
        if (isNoDomain(error)) return undefined;
        throw error;
      }
    },
    async getState(uuid, options) {
      const { state, reason } = await link.call('DOMAIN_GET_STATE', { dom: domainArg(uuid), flags: 0 }, options);
      return { state: states[state] ?? 'no-state', reason };
    },
    async getXMLDesc(uuid, flags = {}, options) {
      const bits = (flags.secure === true ? xmlSecure : 0) | (flags.inactive === true ? xmlInactive : 0);
      return (await link.call('DOMAIN_GET_XML_DESC', { dom: domainArg(uuid), flags: bits }, options)).xml;
    },
    async getMetadata(uuid, namespace, options) {
      try {
        const args = { dom: domainArg(uuid), type: metadataElement, uri: namespace, flags: 0 };
        return (await link.call('DOMAIN_GET_METADATA', args, options)).metadata;
      } catch (error) {
        if (isNoMetadata(error)) return undefined;
        throw error;
      }
    },
    async getInterfaceAddresses(uuid, source, options) {
      const args = { dom: domainArg(uuid), source: addressSources[source], flags: 0 };
      const { ifaces } = await link.call('DOMAIN_INTERFACE_ADDRESSES', args, options);
      return ifaces.map(({ name, hwaddr, addrs }) => ({
        name, mac: hwaddr ?? '',
        addresses: addrs.filter(({ addr }) => isAddress(addr)).map(({ type, addr, prefix }) => ({ type: type === 1 ? 'ipv6' : 'ipv4', address: addr, prefix })),
      }));
    },
    async agentSetResponseTimeout(uuid, timeoutSeconds, options) {
      await link.call('DOMAIN_AGENT_SET_RESPONSE_TIMEOUT', { dom: domainArg(uuid), timeout: timeoutSeconds, flags: 0 }, options);
    },
    getAllStats: (groups, options) => askStats([], groups, options),
    // an empty list would stand for all
    listGetStats: async (domains, groups, options) => (domains.length === 0 ? [] : askStats(domains, groups, options)),
  };
}

type Life = 'defineXML' | 'create' | 'shutdown' | 'reboot' | 'reset' | 'suspend' | 'resume' | 'destroy' | 'undefine' | 'setAutostart';

function lifeCalls(link: HostLink): Pick<DomainApi, Life> {
  return {
    async defineXML(xml, options) {
      return (await link.call('DOMAIN_DEFINE_XML_FLAGS', { xml, flags: defineValidate }, options)).dom;
    },
    async create(uuid, flags = {}, options) {
      // The daemon's reply repeats the name we sent, so the true one is asked for first.
      const { dom } = await link.call('DOMAIN_LOOKUP_BY_UUID', { uuid }, options);
      return (await link.call('DOMAIN_CREATE_WITH_FLAGS', { dom, flags: flags.paused === true ? startPaused : 0 }, options)).dom;
    },
    async shutdown(uuid, options) {
      await preferFlags(byAcpi, 0, (flags) => link.call('DOMAIN_SHUTDOWN_FLAGS', { dom: domainArg(uuid), flags }, options));
    },
    async reboot(uuid, options) {
      await preferFlags(byAcpi, 0, (flags) => link.call('DOMAIN_REBOOT', { dom: domainArg(uuid), flags }, options));
    },
    async reset(uuid, options) {
      await link.call('DOMAIN_RESET', { dom: domainArg(uuid), flags: 0 }, options);
    },
    async suspend(uuid, options) {
      await link.call('DOMAIN_SUSPEND', { dom: domainArg(uuid) }, options);
    },
    async resume(uuid, options) {
      await link.call('DOMAIN_RESUME', { dom: domainArg(uuid) }, options);
    },
    async destroy(uuid, flags = {}, options) {
      await link.call('DOMAIN_DESTROY_FLAGS', { dom: domainArg(uuid), flags: flags.graceful === true ? destroyGraceful : 0 }, options);
    },
    async undefine(uuid, options) {
      await preferFlags(undefineAll, undefineBasic, (flags) => link.call('DOMAIN_UNDEFINE_FLAGS', { dom: domainArg(uuid), flags }, options));
    },
    async setAutostart(uuid, on, options) {
      await link.call('DOMAIN_SET_AUTOSTART', { dom: domainArg(uuid), autostart: on }, options);
    },
  };
}

function deviceCalls(link: HostLink): Pick<DomainApi, 'updateDevice' | 'attachDevice' | 'detachDevice' | 'blockResize'> {
  return {
    async updateDevice(uuid, xml, flags, options) {
      await link.call('DOMAIN_UPDATE_DEVICE_FLAGS', { dom: domainArg(uuid), xml, flags: affect(flags) }, options);
    },
    async attachDevice(uuid, xml, flags, options) {
      await link.call('DOMAIN_ATTACH_DEVICE_FLAGS', { dom: domainArg(uuid), xml, flags: affect(flags) }, options);
    },
    async detachDevice(uuid, xml, flags, options) {
      await link.call('DOMAIN_DETACH_DEVICE_FLAGS', { dom: domainArg(uuid), xml, flags: affect(flags) }, options);
    },
    async blockResize(uuid, disk, sizeBytes, options) {
      await link.call('DOMAIN_BLOCK_RESIZE', { dom: domainArg(uuid), disk, size: sizeBytes, flags: blockResizeBytes }, options);
    },
  };
}

type Jobs = 'getJobStats' | 'abortJob' | 'migrate' | 'migrateSetMaxDowntime' | 'migrateSetMaxSpeed' | 'migrateStartPostCopy';

function jobCalls(link: HostLink): Pick<DomainApi, Jobs> {
  return {
    async getJobStats(uuid, flags = {}, options) {
      // KEEP_COMPLETED alone is an error; libvirt forgets completed statistics once they were read without it.
      const bits = (flags.completed === true ? jobStatsCompleted : 0) | (flags.keepCompleted === true ? jobStatsKeepCompleted : 0);
      return link.call('DOMAIN_GET_JOB_STATS', { dom: domainArg(uuid), flags: bits }, options);
    },
    async abortJob(uuid, options) {
      await link.call('DOMAIN_ABORT_JOB', { dom: domainArg(uuid) }, options);
    },
    async migrate(uuid, input, options = {}) {
      assertRemoteDestination(input.destinationUri);
      const connection = await link.openExtra(options.signal);
      try {
        await connection.call('DOMAIN_MIGRATE_PERFORM3_PARAMS', {
          dom: domainArg(uuid), dconnuri: input.destinationUri, params: input.params,
          cookieIn: Buffer.alloc(0), flags: input.flags | migratePeerToPeer,
        }, { timeoutMs: Infinity, ...options });
      } finally {
        // Not awaited: while the call is unanswered the daemon may not read the goodbye.
        void connection.close();
      }
    },
    async migrateSetMaxDowntime(uuid, downtimeMs, options) {
      await link.call('DOMAIN_MIGRATE_SET_MAX_DOWNTIME', { dom: domainArg(uuid), downtime: downtimeMs, flags: 0 }, options);
    },
    async migrateSetMaxSpeed(uuid, mibPerSecond, options) {
      await link.call('DOMAIN_MIGRATE_SET_MAX_SPEED', { dom: domainArg(uuid), bandwidth: mibPerSecond, flags: 0 }, options);
    },
    async migrateStartPostCopy(uuid, options) {
      await link.call('DOMAIN_MIGRATE_START_POST_COPY', { dom: domainArg(uuid), flags: 0 }, options);
    },
  };
}

/**
 * Throws RangeError where libvirt's own client refuses too (virDomainMigrateCheckNotLocal): the source would connect to
 * itself. A unix socket that is named must be meant so.
 */
function assertRemoteDestination(uri: string): void {
  const { host, transport } = parseUri(uri);
  const local = host === null ? transport !== 'unix' || !/[?&;]socket=/.test(uri) : host.startsWith('localhost');
  if (local) throw new RangeError(`a migration destination must be another host: ${uri}`);
}

function streamCalls(link: HostLink): Pick<DomainApi, 'openConsole' | 'screenshot'> {
  return {
    async openConsole(uuid, device, options = {}) {
      const { stream } = await openBidirectional(link, 'DOMAIN_OPEN_CONSOLE', { dom: domainArg(uuid), device, flags: 0 }, options);
      return stream;
    },
    async screenshot(uuid, screen, options = {}) {
      const { stream, reply } = await openDownload(link, 'DOMAIN_SCREENSHOT', { dom: domainArg(uuid), screen, flags: 0 }, options);
      return { mimeType: reply.mime ?? 'application/octet-stream', body: stream };
    },
  };
}
