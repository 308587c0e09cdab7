// Where is an instance that was to move? Nobody but the two hosts knows: the portal may have died, a host may have, the
// network may have been cut between any two words of theirs. Both are asked, and this table says what their answers mean.
import type { InstanceState } from './instance.ts';

/** What one host says of the domain. A host that is proven to run nothing counts as one that has no such domain. */
export interface Sight {
  readonly state: Extract<InstanceState, 'running' | 'paused' | 'stopped' | 'lost'>;
  /** a paused one: by a person · because it moves, so that this half does not live yet or any more · in post-copy whose other half is gone */
  readonly pausedBy: 'person' | 'move' | 'broken' | null;
  /** it is being sent from there at this moment */
  readonly sending: boolean;
}

export type Whereabouts =
  /** still on its way */
  | 'moving'
  /** where it was; the other host has nothing of it that lives */
  | 'stayed'
  /** on the target; what the source still has of it does not live */
  | 'arrived'
  /** the hosts have not finished tidying up: look again */
  | 'unsettled'
  /** runs on both. Nobody but a person may decide which one is to go */
  | 'both'
  /** on neither: its memory is gone */
  | 'nowhere';

/** `offline`: it was powered off, and only its definition moves. */
export function whereabouts(source: Sight, target: Sight, offline: boolean): Whereabouts {
  if (source.sending) return 'moving';
  if (offline) return offlineWhereabouts(source, target);
  const [here, there] = [partOf(source), partOf(target)];
  if (here === 'lives') return there === 'lives' ? 'both' : there === 'half' ? 'unsettled' : 'stayed';
  if (there === 'lives') return here === 'half' ? 'unsettled' : 'arrived';
  if (here === 'half' || there === 'half') return 'unsettled';
  // powered off meanwhile, from inside or by the end of its QEMU: whoever has its definition has it
  if (source.state === 'stopped') return 'stayed';
  return target.state === 'stopped' ? 'arrived' : 'nowhere';
}

function offlineWhereabouts(source: Sight, target: Sight): Whereabouts {
  if (partOf(source) === 'lives') return partOf(target) === 'lives' ? 'both' : 'stayed';
  if (target.state !== 'lost') return 'arrived';
  return source.state === 'lost' ? 'nowhere' : 'stayed';
}

function partOf({ state, pausedBy }: Sight): 'lives' | 'half' | 'none' {
  if (state === 'running') return 'lives';
  if (state === 'paused') return pausedBy === 'person' ? 'lives' : 'half';
  return 'none';
}

/** How a move that stays unsettled is ended: by the half that is known not to live. */
export type Settlement = 'drop-target' | 'resume-source' | 'drop-source' | 'ask-a-person';

/** For hosts that had time enough to tidy up. One half is dropped only when the other one is seen to live, or to be whole. */
export function settlement(source: Sight, target: Sight): Settlement {
  if (partOf(source) === 'lives') return 'drop-target';
  if (partOf(target) === 'lives') return 'drop-source';
  // sent or not, the source's memory is whole until the target runs
  if (source.pausedBy === 'move' && partOf(target) === 'none') return 'resume-source';
  // a post-copy that lost its source lives in neither: what the target has is not whole
  if (target.pausedBy === 'broken' && partOf(source) === 'none') return 'drop-target';
  return 'ask-a-person';
}
