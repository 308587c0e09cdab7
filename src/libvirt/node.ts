// The host itself: hardware, versions, capabilities, load.
import { isNoInterface, LibvirtError } from './errors.ts';
import type { NodeApi } from './hypervisor.ts';
import type { HostLink } from './host-link.ts';

const expandFeatures = 1;
const allCpus = -1;
const allCells = -1;
/** virCPUCompareResult */
const compareResults = ['incompatible', 'identical', 'superset'] as const;

export function nodeApi(link: HostLink): NodeApi {
  return { ...factCalls(link), ...loadCalls(link) };
}

function factCalls(link: HostLink): Omit<NodeApi, 'getCPUStats' | 'getMemoryStats'> {
  return {
    async getInfo(options) {
      const { model, memory, ...counts } = await link.call('NODE_GET_INFO', {}, options);
      return { cpuModel: model, memoryKib: memory, ...counts };
    },
    async getHostname(options) {
      return (await link.call('CONNECT_GET_HOSTNAME', {}, options)).hostname;
    },
    async getLibVersion(options) {
      return (await link.call('CONNECT_GET_LIB_VERSION', {}, options)).version;
    },
    async getVersion(options) {
      return (await link.call('CONNECT_GET_VERSION', {}, options)).version;
    },
    async getCapabilities(options) {
      return (await link.call('CONNECT_GET_CAPABILITIES', {}, options)).capabilities;
    },
    async getDomainCapabilities(query, options) {
      const args = { emulator: null, arch: query.arch ?? null, machine: query.machine ?? null, virttype: query.virtType, flags: 0 };
      return (await link.call('CONNECT_GET_DOMAIN_CAPABILITIES', args, options)).capabilities;
    },
    async baselineCPU(cpuXmls, options) {
      return (await link.call('CONNECT_BASELINE_CPU', { xmlCPUs: cpuXmls, flags: expandFeatures }, options)).cpu;
    },
    async compareCPU(cpuXml, options) {
      const { result } = await link.call('CONNECT_COMPARE_CPU', { xml: cpuXml, flags: 0 }, options);
      return compareResults[result] ?? 'incompatible';
    },
    async hasInterface(name, options) {
      try {
        await link.call('INTERFACE_LOOKUP_BY_NAME', { name }, options);
        return true;
      } catch (error) {
        if (isNoInterface(error)) return false;
        // a libvirt without its interface driver (it is a package of its own) refuses the question
        if (error instanceof LibvirtError) return undefined;
        throw error;
      }
    },
  };
}

function loadCalls(link: HostLink): Pick<NodeApi, 'getCPUStats' | 'getMemoryStats'> {
  const [askCpu, askMemory] = [createAsk(), createAsk()];
  return {
    async getCPUStats(options) {
      const value = await askCpu((nparams) => link.call('NODE_GET_CPU_STATS', { cpuNum: allCpus, nparams, flags: 0 }, options));
      return { userNs: value('user'), kernelNs: value('kernel'), idleNs: value('idle'), iowaitNs: value('iowait'), intrNs: value('intr') };
    },
    async getMemoryStats(options) {
      const value = await askMemory((nparams) => link.call('NODE_GET_MEMORY_STATS', { nparams, cellNum: allCells, flags: 0 }, options));
      return { totalKib: value('total'), freeKib: value('free'), buffersKib: value('buffers'), cachedKib: value('cached') };
    },
  };
}

type NodeStats = { readonly params: readonly { readonly field: string; readonly value: number }[]; readonly nparams: number };

/**
 * The daemon refuses any number of fields but the one it has, so it is asked for that first; what it said the last time
 * holds until another daemon refuses it. A field it lacks is 0.
 */
function createAsk(): (ask: (nparams: number) => Promise<NodeStats>) => Promise<(field: string) => number> {
  let known = 0;
  const askTwice = async (ask: (nparams: number) => Promise<NodeStats>): Promise<NodeStats> => {
    known = (await ask(0)).nparams;
    return ask(known);
  };
  return async (ask) => {
    const { params } = known === 0 ? await askTwice(ask) : await ask(known).catch((error: unknown) => {
      if (error instanceof LibvirtError) return askTwice(ask);
      throw error;
    });
    const values = new Map(params.map(({ field, value }) => [field, value]));
    return (field) => values.get(field) ?? 0;
  };
}
