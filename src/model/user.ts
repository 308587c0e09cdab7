// A person with an account, and what they have reserved.
import type { Role } from './access.ts';
import type { Size } from './size.ts';

export const userStates = ['pending', 'active', 'disabled'] as const;
export type UserState = (typeof userStates)[number];
export const languages = ['en', 'zh-TW'] as const;
export type Language = (typeof languages)[number];

export interface User {
  readonly id: string;
  /** login name: 2–32 of a-z 0-9 . _ - */
  readonly name: string;
  readonly displayName: string;
  readonly email: string;
  readonly role: Role;
  readonly state: UserState;
  /** null: by cookie, then browser */
  readonly language: Language | null;
  /** null in a field: the default quota of the settings holds */
  readonly quota: QuotaOverride;
  /** reserved by the user's instances, in whatever state those are */
  readonly usage: Usage;
  /** grows when every session must end: password change, role change, disable, "sign out everywhere" */
  readonly sessionEpoch: number;
  readonly createdAt: number;
}

/** How many instances, and their sizes added up. */
export interface Usage extends Size {
  readonly instances: number;
}
export type Quota = Usage;
export type QuotaOverride = { readonly [K in keyof Quota]: number | null };

/** The quota in force: the user's own figure where there is one, else the default. 0 means none, never "unlimited". */
export function effectiveQuota(override: QuotaOverride, standard: Quota): Quota {
  return {
    instances: override.instances ?? standard.instances,
    vcpus: override.vcpus ?? standard.vcpus,
    memoryMib: override.memoryMib ?? standard.memoryMib,
    diskGib: override.diskGib ?? standard.diskGib,
  };
}
