// Procedures that only other clients call (virsh, python-libvirt): the product's own table is src/libvirt/rpc/procedures.ts.
import { array, bool, int, nothing, opaque, optional, size, string, struct, uint, uuid } from '../../../src/libvirt/rpc/codec.ts';
import { procedure, procedures } from '../../../src/libvirt/rpc/procedures.ts';
import { domain, network, pool, volume } from '../../../src/libvirt/rpc/wire-types.ts';

const onDomain = struct({ dom: domain });
const onDomainWithFlags = struct({ dom: domain, flags: uint });
const onPool = struct({ pool });
const onNetwork = struct({ net: network });
const gaveDomain = struct({ dom: domain });
const yes = struct({ yes: bool });
const name = struct({ name: string });

export const extraProcedures = {
  CONNECT_GET_TYPE: procedure(3, nothing, struct({ type: string })),
  CONNECT_GET_MAX_VCPUS: procedure(5, struct({ type: optional(string) }), struct({ max: int })),
  DOMAIN_CREATE: procedure(9, onDomain, nothing),
  DOMAIN_DEFINE_XML: procedure(11, struct({ xml: string }), gaveDomain),
  DOMAIN_DESTROY: procedure(12, onDomain, nothing),
  DOMAIN_GET_AUTOSTART: procedure(15, onDomain, yes),
  DOMAIN_GET_INFO: procedure(16, onDomain, struct({ state: int, maxMem: size, memory: size, nrVirtCpu: int, cpuTime: size })),
  DOMAIN_GET_MAX_VCPUS: procedure(18, onDomain, struct({ num: int })),
  DOMAIN_GET_OS_TYPE: procedure(19, onDomain, struct({ type: string })),
  DOMAIN_LOOKUP_BY_ID: procedure(22, struct({ id: int }), gaveDomain),
  DOMAIN_LOOKUP_BY_NAME: procedure(23, name, gaveDomain),
  DOMAIN_SHUTDOWN: procedure(33, onDomain, nothing),
  DOMAIN_UNDEFINE: procedure(35, onDomain, nothing),
  NETWORK_GET_AUTOSTART: procedure(44, onNetwork, yes),
  NETWORK_GET_BRIDGE_NAME: procedure(45, onNetwork, name),
  NETWORK_LOOKUP_BY_UUID: procedure(47, struct({ uuid }), struct({ net: network })),
  STORAGE_POOL_LOOKUP_BY_UUID: procedure(85, struct({ uuid }), struct({ pool })),
  STORAGE_POOL_LOOKUP_BY_VOLUME: procedure(86, struct({ vol: volume }), struct({ pool })),
  STORAGE_POOL_GET_AUTOSTART: procedure(89, onPool, yes),
  STORAGE_POOL_NUM_OF_VOLUMES: procedure(91, onPool, struct({ num: int })),
  STORAGE_VOL_LOOKUP_BY_KEY: procedure(96, struct({ key: string }), struct({ vol: volume })),
  STORAGE_VOL_LOOKUP_BY_PATH: procedure(97, struct({ path: string }), struct({ vol: volume })),
  STORAGE_VOL_GET_PATH: procedure(100, struct({ vol: volume }), name),
  NODE_GET_FREE_MEMORY: procedure(102, nothing, struct({ free: size })),
  CONNECT_GET_URI: procedure(110, nothing, struct({ uri: string })),
  DOMAIN_GET_SECURITY_LABEL: procedure(121, onDomain, struct({ label: array(int, 4097), enforcing: int })),
  NODE_GET_SECURITY_MODEL: procedure(122, nothing, struct({ model: array(int, 257), doi: array(int, 257) })),
  CONNECT_IS_SECURE: procedure(149, nothing, yes),
  DOMAIN_IS_ACTIVE: procedure(150, onDomain, yes),
  DOMAIN_IS_PERSISTENT: procedure(151, onDomain, yes),
  NETWORK_IS_PERSISTENT: procedure(153, onNetwork, yes),
  STORAGE_POOL_IS_ACTIVE: procedure(154, onPool, yes),
  STORAGE_POOL_IS_PERSISTENT: procedure(155, onPool, yes),
  DOMAIN_GET_JOB_INFO: procedure(163, onDomain, struct({
    type: int, timeElapsed: size, timeRemaining: size, dataTotal: size, dataProcessed: size, dataRemaining: size,
    memTotal: size, memProcessed: size, memRemaining: size, fileTotal: size, fileProcessed: size, fileRemaining: size,
  })),
  DOMAIN_HAS_MANAGED_SAVE_IMAGE: procedure(183, onDomainWithFlags, yes),
  DOMAIN_GET_VCPUS_FLAGS: procedure(200, onDomainWithFlags, struct({ num: int })),
  NODE_GET_CPU_MAP: procedure(293, struct({ needMap: int, needOnline: int, flags: uint }), struct({ cpumap: opaque, online: uint, ret: int })),
  CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY: procedure(317, struct({ callbackId: int }), nothing),
  CONNECT_REGISTER_CLOSE_CALLBACK: procedure(360, nothing, nothing),
  CONNECT_UNREGISTER_CLOSE_CALLBACK: procedure(361, nothing, nothing),
  STORAGE_VOL_GET_INFO_FLAGS: procedure(378, struct({ vol: volume, flags: uint }), struct({ type: int, capacity: size, allocation: size })),
  DOMAIN_LIST_ALL_CHECKPOINTS: procedure(413, struct({ dom: domain, needResults: int, flags: uint }), struct({ checkpoints: array(name, 16), count: int })),
} as const;

export const allProcedures = { ...procedures, ...extraProcedures };
export type AnyProcedureName = keyof typeof allProcedures;
export const procedureNames = new Map(Object.entries(allProcedures).map(([key, { number }]) => [number, key as AnyProcedureName]));
