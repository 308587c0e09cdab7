// What an admin types about hosts.
import { z } from 'zod';
import { say } from '../../../errors.ts';
import type { FoundHostPool } from '../../../operations/host-check.ts';
import { choice, formText, text } from '../../forms.ts';

export const virtTypeWishes = ['auto', 'kvm', 'qemu'] as const;

const name = () => text({ min: 1, max: 64, pattern: { test: /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/i, sentence: say('hosts.name-rule') } });
const uri = () => text({ min: 1, max: 500 });
const consoleAddress = () => text({ min: 1, max: 255, pattern: { test: /^[a-z0-9](?:[a-z0-9.:-]*[a-z0-9])?$/i, sentence: say('hosts.console-address-rule') } });

export const probeForm = z.object({ name: name(), uri: uri() });
export const uriForm = z.object({ uri: uri() });
export const addForm = z.object({ name: name(), uri: uri(), consoleAddress: consoleAddress(), virtTypeWish: choice(virtTypeWishes), network: text({ min: 1, max: 64 }) });
export const settingsForm = z.object({ name: name(), consoleAddress: consoleAddress(), virtTypeWish: choice(virtTypeWishes) });
export const connectionForm = z.object({ uri: uri(), network: text({ min: 1, max: 64 }) });

/** Ticked pools: `pool:NAME`, and `shared:NAME` for those whose files every host sees. */
export function chosenPools(body: unknown): { name: string; shared: boolean }[] {
  const typed = formText(body);
  return Object.keys(typed).filter((key) => key.startsWith('pool:')).map((key) => key.slice('pool:'.length))
    .map((pool) => ({ name: pool, shared: typed[`shared:${pool}`] !== undefined }));
}

/** Proposed ticks for a host that was just looked at: all active pools, shared where libvirt mounts them from a server. */
export function proposedTicks(pools: readonly FoundHostPool[]): Record<string, string> {
  const ticks: Record<string, string> = {};
  for (const pool of pools.filter((each) => each.active)) {
    ticks[`pool:${pool.name}`] = 'on';
    if (pool.kind === 'netfs' || pool.kind === 'gluster') ticks[`shared:${pool.name}`] = 'on';
  }
  return ticks;
}
