// Gathers what the admission rule needs from the database. Nothing here asks a hypervisor: the verdict is as old as the
// last poll, and says so by `checkAgainAt`.
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { AppError, say, type ErrorKind, type Sentence } from '../errors.ts';
import { decideAdmission, type AdmissionInput, type AdmissionRefusalKind, type Fleet, type Verdict } from '../model/admission.ts';
import { poolRoomGib } from '../model/capacity.ts';
import { minDiskGib, type Image } from '../model/image.ts';
import type { Settings } from '../model/settings.ts';
import type { Size } from '../model/size.ts';
import { effectiveQuota, type User } from '../model/user.ts';
import { selectGroupHosts } from '../store/anti-affinity.ts';
import type { Db } from '../store/db.ts';
import { selectGate } from '../store/gate.ts';
import { selectHostPools, selectHosts } from '../store/hosts.ts';
import { selectHostMeans } from '../store/samples.ts';
import { selectSettings } from '../store/settings.ts';
import { selectPools } from '../store/storage-pools.ts';

export interface AdmissionQuestion {
  /** as loaded for this request: the usage in it counts */
  readonly user: Pick<User, 'id' | 'quota' | 'usage'>;
  /** the disk lies in the image's pool; without an image, in the pool with most room */
  readonly request: Size & {
    readonly image: Image | undefined;
    /** group of the owner's instances that are kept apart */
    readonly antiAffinity?: string | null;
  };
  readonly config: Pick<Config, 'pollIntervalMs'>;
}

export async function loadAdmission(db: Db, clock: Clock, question: AdmissionQuestion): Promise<AdmissionInput> {
  const now = clock.now();
  const settings = await selectSettings(db);
  const { image, antiAffinity = null, ...size } = question.request;
  const [fleet, gate, antiAffinityHosts] = await Promise.all([
    loadFleet(db, settings, now), selectGate(db), selectGroupHosts(db, { id: '', userId: question.user.id, antiAffinity }),
  ]);
  return {
    request: { ...size, antiAffinityHosts, poolId: image?.poolId ?? roomiestPoolId(fleet, settings), minDiskGib: image === undefined ? 1 : minDiskGib(image), minMemoryMib: image?.minMemoryMib ?? 0 },
    usage: question.user.usage,
    quota: effectiveQuota(question.user.quota, settings.quota),
    fleet,
    settings,
    gate,
    pollIntervalMs: question.config.pollIntervalMs,
    now,
  };
}

/** Hosts, pools and the hosts' load over the window of the thresholds: what every choice of a host is made from. */
export async function loadFleet(db: Db, settings: Settings, now: number): Promise<Fleet> {
  const [hosts, pools, hostPools] = await Promise.all([selectHosts(db), selectPools(db), selectHostPools(db)]);
  const windowMs = settings.thresholds.windowSeconds * 1000;
  const means = await selectHostMeans(db, hosts.map((host) => host.subjectId), now - windowMs, now);
  const hostCpuPercent = new Map<string, number>();
  const hostCpuSettled = new Set<string>();
  const hostMemoryPercent = new Map<string, number>();
  for (const host of hosts) {
    const { firstAt = now, cpuPercent = null, memoryUsedMib = null, memoryTotalMib = null } = means.get(host.subjectId) ?? {};
    if (cpuPercent !== null) hostCpuPercent.set(host.id, cpuPercent);
    // half the window, as the gate has it
    if (now - firstAt >= windowMs / 2) hostCpuSettled.add(host.id);
    if (memoryUsedMib !== null && memoryTotalMib !== null && memoryTotalMib > 0) hostMemoryPercent.set(host.id, (100 * memoryUsedMib) / memoryTotalMib);
  }
  return { hosts, pools, hostPools, hostCpuPercent, hostCpuSettled, hostMemoryPercent };
}

export async function admissionFor(db: Db, clock: Clock, question: AdmissionQuestion): Promise<Verdict> {
  return decideAdmission(await loadAdmission(db, clock, question));
}

function roomiestPoolId(fleet: Fleet, settings: Settings): string {
  const room = (pool: Fleet['pools'][number]): number => poolRoomGib(pool, settings.overcommit);
  return [...fleet.pools].sort((a, b) => room(b) - room(a))[0]?.id ?? '';
}

const kindOfRefusal: Readonly<Record<AdmissionRefusalKind, ErrorKind>> = {
  invalid: 'invalid',
  'quota-exceeded': 'quota-exceeded',
  'gate-closed': 'conflict',
  'no-capacity': 'no-capacity',
};

/** A refusal as an error: the first reason decides the kind, each reason about a field stands beside it. */
export function admissionError(verdict: Verdict): AppError {
  const fields: Record<string, Sentence> = {};
  for (const { field, sentence } of verdict.reasons) if (field !== null) fields[field] ??= sentence;
  const first = verdict.reasons[0];
  if (first === undefined) throw new Error('an allowed verdict is no error');
  return new AppError(kindOfRefusal[first.kind], first.sentence, { fields });
}

/** What to say when a verdict was yes and the reservation then lost the race for the last room. */
export const raceLost = (): AppError => new AppError('no-capacity', say('admission.capacity.race'), { retryAfterSeconds: 10 });
