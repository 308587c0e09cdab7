// Storage pools, by name. Sizes are bytes.
import { isNoStoragePool } from './errors.ts';
import type { PoolInfo, PoolRef, StoragePoolApi } from './hypervisor.ts';
import type { HostLink } from './host-link.ts';
import { ObjectNames } from './object-names.ts';

/** virStoragePoolState */
const poolStates: readonly PoolInfo['state'][] = ['inactive', 'building', 'running', 'degraded', 'inaccessible'];

export type PoolNames = ObjectNames<PoolRef>;

export function poolNames(link: HostLink): PoolNames {
  return new ObjectNames(async (name, options) => (await link.call('STORAGE_POOL_LOOKUP_BY_NAME', { name }, options)).pool, isNoStoragePool);
}

export function storagePoolApi(link: HostLink, names: PoolNames): StoragePoolApi {
  return {
    async listAll(options) {
      const { pools } = await link.call('CONNECT_LIST_ALL_STORAGE_POOLS', { needResults: 1, flags: 0 }, options);
      return pools.map((pool) => names.remember(pool));
    },
    getInfo: (name, options) => names.with(name, options, async (pool) => {
      const { state, capacity, allocation, available } = await link.call('STORAGE_POOL_GET_INFO', { pool }, options);
      return { state: poolStates[state] ?? 'inaccessible', capacityBytes: capacity, allocationBytes: allocation, availableBytes: available };
    }),
    getXMLDesc: (name, options) => names.with(name, options, async (pool) =>
      (await link.call('STORAGE_POOL_GET_XML_DESC', { pool, flags: 0 }, options)).xml),
    refresh: (name, options) => names.with(name, options, async (pool) => {
      await link.call('STORAGE_POOL_REFRESH', { pool, flags: 0 }, options);
    }),
    async defineXML(xml, options) {
      return names.remember((await link.call('STORAGE_POOL_DEFINE_XML', { xml, flags: 0 }, options)).pool);
    },
    build: (name, options) => names.with(name, options, async (pool) => {
      await link.call('STORAGE_POOL_BUILD', { pool, flags: 0 }, options);
    }),
    create: (name, options) => names.with(name, options, async (pool) => {
      await link.call('STORAGE_POOL_CREATE', { pool, flags: 0 }, options);
    }),
    destroy: (name, options) => names.with(name, options, async (pool) => {
      await link.call('STORAGE_POOL_DESTROY', { pool }, options);
    }),
    undefine: (name, options) => names.with(name, options, async (pool) => {
      await link.call('STORAGE_POOL_UNDEFINE', { pool }, options);
      names.forget(name);
    }),
    setAutostart: (name, on, options) => names.with(name, options, async (pool) => {
      await link.call('STORAGE_POOL_SET_AUTOSTART', { pool, autostart: on }, options);
    }),
  };
}
