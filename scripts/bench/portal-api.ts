// What the benchmarks share: the portal's API with an administrator's token, and medians.
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Settings, SettingsGroup } from '../../src/model/settings.ts';
import { openDatabase } from '../../src/store/db.ts';
import { selectSettings, updateSettings } from '../../src/store/settings.ts';

export interface Operation { readonly id: string; readonly state: string; readonly error: string | null; readonly instanceId: string; readonly startedAt: string; readonly endedAt: string }

export interface Portal {
  request<T>(method: string, target: string, body?: unknown): Promise<T>;
  /** resolves when it is done; rejects when it failed */
  ended(operation: Pick<Operation, 'id'>): Promise<Operation>;
}

/** Asked this often whether an operation has ended: the time comes from the operation itself, and asking more often would only take it the processor. */
const askEveryMs = 400;

export async function openPortal(url: string, tokenFile: string): Promise<Portal> {
  // scripts/admin prints words around it for people
  const token = /cloudhpc_[\w-]+/.exec(await readFile(tokenFile, 'utf8'))?.[0] ?? '';
  const request = async <T>(method: string, target: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${url}/api/v1${target}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${target}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  };
  return {
    request,
    async ended({ id }) {
      for (;;) {
        const now = await request<Operation>('GET', `/operations/${id}`);
        if (now.state === 'done') return now;
        if (now.state === 'failed' || now.state === 'cancelled') throw new Error(`operation ${now.state}: ${now.error}`);
        await delay(askEveryMs);
      }
    },
  };
}

/** Changes groups of settings by the database of the cloud below `data`; the portal follows within a second. */
export async function changeSettings(data: string, change: { readonly [G in SettingsGroup]?: Partial<Settings[G]> }): Promise<void> {
  const url = /^DATABASE_URL=(.+)$/m.exec(await readFile(`${data}/portal.env`, 'utf8'))?.[1] ?? '';
  const db = openDatabase([url]);
  const settings = await selectSettings(db);
  for (const group of Object.keys(change) as SettingsGroup[]) await updateSettings(db, group, { ...settings[group], ...change[group] }, null, Date.now());
  await db.close();
  await delay(1500);
}

/** Measuring loads this machine, and then the cloud would rightly refuse. */
export function openGate(data: string): Promise<void> {
  return changeSettings(data, { thresholds: { enabled: false }, placement: { maxCpuPercent: 100, maxMemoryPercent: 100 }, quota: { instances: 50, vcpus: 100, memoryMib: 65_536, diskGib: 1000 } });
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

export function verdict(reached: boolean): string {
  return reached ? 'reached' : 'MISSED';
}
