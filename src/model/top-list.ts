// Who takes most of what: lists of the first few, kept while many pass by, so that nobody ever sorts them all.

export const topMeasures = ['cpu', 'memory', 'disk', 'network'] as const;
export type TopMeasure = (typeof topMeasures)[number];

/** `at`: when the value was measured. */
export interface TopEntry { readonly id: string; readonly value: number; readonly at: number }

/**
 * Most first. Of instances: CPU in % of their vCPUs, memory in use in MiB, disk and network in bytes a second both ways.
 * Of hosts: CPU in %, memory in % of what they have, disk and network of their instances together.
 */
export type TopLists = Readonly<Record<TopMeasure, readonly TopEntry[]>>;

/** Names of the snapshots that hold them. */
export const topInstances = 'top-instances';
export const topHosts = 'top-hosts';
export const topLength = 10;

export class TopList {
  readonly #entries: TopEntry[] = [];

  /** What takes nothing, or is not known, is never on the list. */
  add(id: string, value: number | null, at: number): void {
    if (value === null || value <= 0) return;
    const last = this.#entries[topLength - 1];
    if (last !== undefined && last.value >= value) return;
    const place = this.#entries.findIndex((entry) => entry.value < value);
    this.#entries.splice(place === -1 ? this.#entries.length : place, 0, { id, value, at });
    this.#entries.length = Math.min(topLength, this.#entries.length);
  }

  get entries(): readonly TopEntry[] {
    return this.#entries;
  }
}
