import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aFleet, aHost, aPool, gib } from '../../test/helpers/fleet.ts';
import { remainingOf } from './capacity.ts';
import type { StoragePool } from './host.ts';
import { localStorageSpace, resourceTable, storageSpace } from './resources.ts';
import { defaultSettings } from './settings.ts';

const host = aHost;
const fleet = aFleet;
const pool = (id: string, change: Partial<StoragePool> = {}): StoragePool => aPool(id, { availableBytes: 740 * gib, sampledAt: 5, usedGib: 100, ...change });
const settings = { ...defaultSettings, overcommit: { vcpus: 1, memory: 1, disk: 1 } };

test('the table of the thesis: what remains, at its prices, and the machines', () => {
  const rows = resourceTable(remainingOf(fleet([host('a', { usedVcpus: 3, usedMemoryMib: 20480 }), host('b', { memoryMib: 16384 })], [pool('p')]), settings), settings, { total: 7, running: 4, stopped: 2 });
  assert.deepEqual(rows, [
    { item: 'vcpus', count: 13, unit: 'piece', subtotal: 13_000 },
    { item: 'memory', count: 28, unit: 'gb', subtotal: 42_000 },
    { item: 'disk', count: 700, unit: 'gb', subtotal: 1_050_000 },
    { item: 'instances', count: 7, unit: 'machine', subtotal: null },
    { item: 'stopped', count: 2, unit: 'machine', subtotal: null },
  ]);
});

test('nothing remaining is 0, never less', () => {
  const rows = resourceTable(remainingOf(fleet([host('a', { usedVcpus: 30, usedMemoryMib: 99_999 }), host('b', { state: 'unreachable' }), host('c', { wish: 'disabled' })], [pool('p', { usedGib: 5000 })]), settings), settings, { total: 0, running: 0, stopped: 0 });
  assert.deepEqual(rows.map((row) => row.count), [0, 0, 0, 0, 0]);
});

test('network storage counts a shared pool once, and local pools only where there is no other', () => {
  assert.deepEqual(storageSpace([pool('p'), pool('l', { shared: false })]), { usedBytes: 60 * gib, totalBytes: 800 * gib, sampledAt: 5 });
  assert.deepEqual(storageSpace([pool('l', { shared: false }), pool('m', { shared: false, sampledAt: 3 })]), { usedBytes: 120 * gib, totalBytes: 1600 * gib, sampledAt: 3 });
  assert.deepEqual(storageSpace([pool('p', { sampledAt: null })]), { usedBytes: 0, totalBytes: 0, sampledAt: null });
});

test('the hosts’ own disks stand apart from network storage, and nowhere where there is nothing else', () => {
  assert.deepEqual(localStorageSpace([pool('p'), pool('l', { shared: false }), pool('m', { shared: false, sampledAt: 3 })]), { usedBytes: 120 * gib, totalBytes: 1600 * gib, sampledAt: 3 });
  assert.equal(localStorageSpace([pool('l', { shared: false })]), undefined);
  assert.equal(localStorageSpace([pool('p')]), undefined);
});
