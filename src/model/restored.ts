// A database that was loaded from a backup knows yesterday's homes of machines; the hosts know today's. What they say of one
// machine, and where its record belongs by that.
import type { Instance, InstanceState } from './instance.ts';

/** One host's domain of it. */
export interface Sighting {
  readonly hostId: string;
  readonly state: Extract<InstanceState, 'running' | 'paused' | 'stopped'>;
}

export type RestoredHome =
  | { readonly kind: 'found'; readonly at: Sighting }
  /** it lives on several hosts: it moves at this moment, or somebody has started a copy. Nobody but a person may say which is to stay */
  | { readonly kind: 'several'; readonly hostIds: readonly string[] }
  /** no host that was asked has it, and the one of the record was asked */
  | { readonly kind: 'nowhere' }
  /** the record's host is off; what ran there does not any more */
  | { readonly kind: 'on-a-host-that-is-off' }
  /** it was never made, or its making was undone: there is nothing to look for */
  | { readonly kind: 'unmade' };

export function restoredHome(record: Pick<Instance, 'hostId'>, sightings: readonly Sighting[], offHostIds: ReadonlySet<string>): RestoredHome {
  const living = sightings.filter(({ state }) => state !== 'stopped');
  if (living.length > 1) return { kind: 'several', hostIds: living.map(({ hostId }) => hostId) };
  // of several that are off the one of the record: a move that had no time to tidy up leaves one behind
  const at = living[0] ?? sightings.find(({ hostId }) => hostId === record.hostId) ?? sightings[0];
  if (at !== undefined) return { kind: 'found', at };
  if (record.hostId === null) return { kind: 'unmade' };
  return { kind: offHostIds.has(record.hostId) ? 'on-a-host-that-is-off' : 'nowhere' };
}
