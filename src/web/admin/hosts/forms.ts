// What an admin types about hosts.
import { z } from 'zod';
import { say } from '../../../errors.ts';
import { proposedChoices, type HostReport } from '../../../operations/host-check.ts';
import { choice, formText, text } from '../../forms.ts';

export const virtTypeWishes = ['auto', 'kvm', 'qemu'] as const;

const name = () => text({ min: 1, max: 64, pattern: { test: /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/i, sentence: say('hosts.name-rule') } });
const uri = () => text({ min: 1, max: 500 });
const consoleAddress = () => text({ min: 1, max: 255, pattern: { test: /^[a-z0-9](?:[a-z0-9.:-]*[a-z0-9])?$/i, sentence: say('hosts.console-address-rule') } });

/** Left empty: made from the host's own URI. */
const migrationUri = () => text({ min: 0, max: 500 });

export const probeForm = z.object({ name: name(), uri: uri() });
export const uriForm = z.object({ uri: uri() });
export const addForm = z.object({ name: name(), uri: uri(), consoleAddress: consoleAddress(), virtTypeWish: choice(virtTypeWishes), network: text({ min: 1, max: 64 }), migrationUri: migrationUri() });
export const settingsForm = z.object({ name: name(), consoleAddress: consoleAddress(), virtTypeWish: choice(virtTypeWishes) });
export const connectionForm = z.object({ uri: uri(), network: text({ min: 1, max: 64 }), migrationUri: migrationUri() });

/** Ticked pools: `pool:NAME`, and `shared:NAME` for those whose files every host sees. */
export function chosenPools(body: unknown): { name: string; shared: boolean }[] {
  const typed = formText(body);
  return Object.keys(typed).filter((key) => key.startsWith('pool:')).map((key) => key.slice('pool:'.length))
    .map((pool) => ({ name: pool, shared: typed[`shared:${pool}`] !== undefined }));
}

/** What the form proposes for a host that was just looked at: its network, and the ticks of its pools. */
export function proposedValues(report: HostReport): Record<string, string> {
  const { network, pools } = proposedChoices(report);
  const ticks = pools.flatMap(({ name: pool, shared }) => [[`pool:${pool}`, 'on'], ...(shared ? [[`shared:${pool}`, 'on']] : [])]);
  return { network: network ?? '', ...Object.fromEntries(ticks) };
}
