// Volumes, by pool and name. Sizes are bytes.
import { isNoStorageVolume } from './errors.ts';
import type { StorageVolumeApi, VolumeRef } from './hypervisor.ts';
import type { HostLink } from './host-link.ts';
import type { PoolNames } from './storage-pool.ts';
import { openDownload, upload } from './streams.ts';

/** length 0: everything to the end */
const wholeVolume = 0;

/** A volume as an argument: the daemon goes by pool and name. */
function volumeArg(pool: string, name: string): VolumeRef {
  return { pool, name, key: name };
}

export function storageVolumeApi(link: HostLink, pools: PoolNames): StorageVolumeApi {
  return { ...inventoryCalls(link, pools), ...changeCalls(link, pools), ...dataCalls(link) };
}

function inventoryCalls(link: HostLink, pools: PoolNames): Pick<StorageVolumeApi, 'listAll' | 'lookupByName' | 'getInfo' | 'getXMLDesc'> {
  return {
    listAll: (poolName, options) => pools.with(poolName, options, async (pool) =>
      (await link.call('STORAGE_POOL_LIST_ALL_VOLUMES', { pool, needResults: 1, flags: 0 }, options)).vols),
    lookupByName: (poolName, name, options) => pools.with(poolName, options, async (pool) => {
      try {
        return (await link.call('STORAGE_VOL_LOOKUP_BY_NAME', { pool, name }, options)).vol;
      } catch (error) {
        if (isNoStorageVolume(error)) return undefined;
        throw error;
      }
    }),
    async getInfo(pool, name, options) {
      const { type, capacity, allocation } = await link.call('STORAGE_VOL_GET_INFO', { vol: volumeArg(pool, name) }, options);
      return { type, capacityBytes: capacity, allocationBytes: allocation };
    },
    async getXMLDesc(pool, name, options) {
      return (await link.call('STORAGE_VOL_GET_XML_DESC', { vol: volumeArg(pool, name), flags: 0 }, options)).xml;
    },
  };
}

function changeCalls(link: HostLink, pools: PoolNames): Pick<StorageVolumeApi, 'createXML' | 'createXMLFrom' | 'delete' | 'resize'> {
  return {
    createXML: (poolName, xml, options) => pools.with(poolName, options, async (pool) =>
      (await link.call('STORAGE_VOL_CREATE_XML', { pool, xml, flags: 0 }, options)).vol),
    createXMLFrom: (poolName, xml, source, options) => pools.with(poolName, options, async (pool) => {
      const args = { pool, xml, clonevol: volumeArg(source.pool, source.name), flags: 0 };
      return (await link.call('STORAGE_VOL_CREATE_XML_FROM', args, options)).vol;
    }),
    async delete(pool, name, options) {
      await link.call('STORAGE_VOL_DELETE', { vol: volumeArg(pool, name), flags: 0 }, options);
    },
    async resize(pool, name, capacityBytes, options) {
      await link.call('STORAGE_VOL_RESIZE', { vol: volumeArg(pool, name), capacity: capacityBytes, flags: 0 }, options);
    },
  };
}

function dataCalls(link: HostLink): Pick<StorageVolumeApi, 'upload' | 'download'> {
  return {
    async upload(pool, name, body, lengthBytes, options = {}) {
      const args = { vol: volumeArg(pool, name), offset: 0, length: lengthBytes, flags: 0 };
      await upload(link, 'STORAGE_VOL_UPLOAD', args, body, lengthBytes, options);
    },
    async download(pool, name, options = {}) {
      const args = { vol: volumeArg(pool, name), offset: 0, length: wholeVolume, flags: 0 };
      return (await openDownload(link, 'STORAGE_VOL_DOWNLOAD', args, options)).stream;
    },
  };
}
