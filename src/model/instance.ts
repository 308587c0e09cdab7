// Our record of a VM, and what may be done with it in its state. Buttons, operations, API and tests ask instanceCan.
import type { Sentence } from '../errors.ts';
import { say } from '../errors.ts';
import type { Role } from './access.ts';
import type { Size } from './size.ts';

/**
 * What we know of the domain. Work in progress is not a state: it is `operationId`, so that a crash in the middle
 * leaves the last known truth standing.
 * creating: no whole domain yet · failed: creation was undone · lost: the domain is gone from its host
 */
export const instanceStates = ['creating', 'stopped', 'running', 'paused', 'failed', 'lost'] as const;
export type InstanceState = (typeof instanceStates)[number];

export interface Instance extends Size {
  /** also the libvirt domain's UUID */
  readonly id: string;
  readonly userId: string;
  /** unique among the user's instances */
  readonly name: string;
  readonly state: InstanceState;
  /** when `state` last changed */
  readonly stateAt: number;
  /** the operation that holds the instance now; taken and released by compare-and-set */
  readonly operationId: string | null;
  /** kind of that operation, for words like "starting" */
  readonly operationKind: string | null;
  readonly hostId: string | null;
  readonly poolId: string | null;
  readonly imageId: string;
  readonly mac: string;
  /** last known guest address; null: none seen */
  readonly address: string | null;
  /** all that it had then, `address` first */
  readonly addresses: readonly string[];
  /** VNC port while running */
  readonly consolePort: number | null;
  /** until when the last console password opens the screen; null: locked */
  readonly consoleExpiresAt: number | null;
  /** why it failed or what is wrong with it */
  readonly problem: Sentence | null;
  /** started on another host when its own is proven gone */
  readonly ha: boolean;
  readonly haPriority: HaPriority;
  /** the owner's instances of one group are placed on different hosts; null: no group */
  readonly antiAffinity: string | null;
  /** where it goes back to when that host's maintenance ends */
  readonly returnHostId: string | null;
  /** when it last changed hosts */
  readonly movedAt: number | null;
  readonly subjectId: number;
  readonly createdAt: number;
}

/** Restarts go from high to low: 2 high, 1 normal, 0 low. */
export const haPriorities = [2, 1, 0] as const;
export type HaPriority = (typeof haPriorities)[number];
export const haPriorityNames = { 2: 'high', 1: 'normal', 0: 'low' } as const satisfies Record<HaPriority, string>;
/** High is an administrator's to give: where everybody goes first, nobody does. Who was given it may keep it. */
export function mayGivePriority(role: Role, wished: HaPriority, current: HaPriority | null): boolean {
  return wished !== 2 || role === 'admin' || current === 2;
}
/** Name of an anti-affinity group. */
export const antiAffinityPattern = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/i;

/** What its owner may do. */
export const instanceActions = ['start', 'shutdown', 'force-off', 'reboot', 'delete', 'console'] as const;
/** migrate is an administrator's */
export type InstanceAction = (typeof instanceActions)[number] | 'migrate';

const allowed: Record<InstanceAction, readonly InstanceState[]> = {
  start: ['stopped'],
  shutdown: ['running'],
  'force-off': ['running', 'paused'],
  reboot: ['running'],
  delete: ['stopped', 'running', 'paused', 'failed', 'lost'],
  console: ['running', 'paused'],
  migrate: ['running', 'paused', 'stopped'],
};

/** Kinds of operation after which it is on another host. */
const hostChangingKinds: readonly string[] = ['instance-migrate', 'instance-recover'];
export function isChangingHosts({ operationKind }: Pick<Instance, 'operationKind'>): boolean {
  return operationKind !== null && hostChangingKinds.includes(operationKind);
}

/** States in which an action makes sense when nothing else is going on with the instance. */
export function statesFor(action: InstanceAction): readonly InstanceState[] {
  return allowed[action];
}

/** undefined: allowed. A Sentence: why not, in words for a button's title or an error. */
export function instanceRefuses(
  action: InstanceAction,
  instance: Pick<Instance, 'state' | 'operationId'>,
): Sentence | undefined {
  // a screen may be looked at while the machine is being worked on
  if (instance.operationId !== null && action !== 'console') return say('instances.refused.busy');
  if (!allowed[action].includes(instance.state)) return say(`instances.refused.${action}`);
  return undefined;
}

export function instanceCan(action: InstanceAction, instance: Pick<Instance, 'state' | 'operationId'>): boolean {
  return instanceRefuses(action, instance) === undefined;
}

/** Instance names: they become host names of guests and parts of file names. */
export const instanceNamePattern = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/i;

/** One line of an instance's diary. */
export interface InstanceEvent {
  readonly id: string;
  readonly instanceId: string;
  readonly at: number;
  /** who did it; null: the system, or the guest itself */
  readonly userId: string | null;
  readonly sentence: Sentence;
  /** why, for what went wrong */
  readonly reason: Sentence | null;
}
