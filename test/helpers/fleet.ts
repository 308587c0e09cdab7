// Hosts, pools and an admission question to vary in tables: say only what the case is about.
import type { AdmissionInput, Fleet } from '../../src/model/admission.ts';
import type { Host, StoragePool } from '../../src/model/host.ts';
import type { Instance } from '../../src/model/instance.ts';
import { defaultSettings } from '../../src/model/settings.ts';

export const gib = 1024 ** 3;

export function aHost(name: string, over: Partial<Host> = {}): Host {
  return {
    id: name, name, uri: 'qemu:///system', wish: 'enabled', state: 'up', seenAt: 0, reason: null, consoleAddress: '192.0.2.1',
    network: 'default', virtType: 'kvm', virtTypeWish: 'auto', arch: 'x86_64', cpuModel: null, libvirtVersion: null, qemuVersion: null,
    hostUuid: null, cpus: 8, memoryMib: 32768, usedVcpus: 0, usedMemoryMib: 0, subjectId: 1, createdAt: 0,
    stateSince: 0, fencedAt: null, fenceProof: null, fenceAgent: null, migrationUri: null, ...over,
  };
}

export function aPool(name: string, over: Partial<StoragePool> = {}): StoragePool {
  return {
    id: name, name, shared: true, kind: 'netfs', path: '/pool', capacityBytes: 800 * gib, availableBytes: 800 * gib, sampledAt: 0, usedGib: 0,
    subjectId: 2, ...over,
  };
}

/** Every host has every pool, unless `hostPools` says otherwise. */
export function aFleet(hosts: readonly Host[], pools: readonly StoragePool[] = [aPool('p')], over: Partial<Fleet> = {}): Fleet {
  const all = new Set(pools.map((pool) => pool.id));
  return { hosts, pools, hostPools: new Map(hosts.map((host) => [host.id, all])), hostCpuPercent: new Map(), hostCpuSettled: new Set(hosts.map((host) => host.id)), hostMemoryPercent: new Map(), ...over };
}

/** Running on `hostId`, 1 vCPU, 1 GiB, 10 GiB in pool "p", to be started elsewhere when its host dies. */
export function anInstance(name: string, hostId: string, over: Partial<Instance> = {}): Instance {
  return {
    id: name, userId: 'u', name, state: 'running', stateAt: 0, operationId: null, operationKind: null, hostId, poolId: 'p', imageId: 'i', mac: '52:54:00:00:00:01',
    address: null, addresses: [], consolePort: null, consoleExpiresAt: null, problem: null, ha: true, haPriority: 1, antiAffinity: null, returnHostId: null, movedAt: null,
    vcpus: 1, memoryMib: 1024, diskGib: 10, subjectId: 3, createdAt: 0, ...over,
  };
}

/** 1 vCPU, 1 GiB, 10 GiB asked by somebody who has nothing, of one idle host of 8 CPUs and 32 GiB without overcommit. */
export function aQuestion(over: Partial<AdmissionInput> = {}, request: Partial<AdmissionInput['request']> = {}): AdmissionInput {
  return {
    request: { vcpus: 1, memoryMib: 1024, diskGib: 10, poolId: 'p', minDiskGib: 1, minMemoryMib: 128, ...request },
    usage: { instances: 0, vcpus: 0, memoryMib: 0, diskGib: 0 },
    quota: { instances: 5, vcpus: 8, memoryMib: 16384, diskGib: 200 },
    fleet: aFleet([aHost('a')]),
    settings: { ...defaultSettings, overcommit: { vcpus: 1, memory: 1, disk: 1 } },
    gate: { closed: false, since: 0, reasons: [] },
    pollIntervalMs: 10_000,
    now: 1_000_000,
    ...over,
  };
}
