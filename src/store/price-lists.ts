// The price lists that were ever in force. The one in force now is the settings' (store/settings.ts writes both in one
// transaction); a list's `valid_from` is the version of the settings that it came with, which only grows.
import type { DatedPriceList } from '../model/usage.ts';
import type { PriceList } from '../model/price.ts';
import type { Db } from './db.ts';

interface PriceListRow { readonly valid_from: number; readonly currency: string; readonly per_vcpu: number; readonly per_memory_gib: number; readonly per_disk_gib: number }

/** Repeatable: a list that is there stays as it is. */
export async function insertPriceList(tx: Db, { validFrom, currency, perVcpu, perMemoryGib, perDiskGib }: DatedPriceList): Promise<void> {
  await tx.execute(
    `INSERT INTO price_lists (valid_from, currency, per_vcpu, per_memory_gib, per_disk_gib) VALUES (?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE valid_from = valid_from`,
    [validFrom, currency, perVcpu, perMemoryGib, perDiskGib],
  );
}

/**
 * Oldest first, never empty. `current` with its version is the settings' own: it stands in the table too, unless nobody has
 * changed a price yet, or an older portal did.
 */
export async function selectPriceLists(db: Db, current: { readonly value: PriceList; readonly version: number }): Promise<DatedPriceList[]> {
  const rows = await db.query<PriceListRow>('SELECT valid_from, currency, per_vcpu, per_memory_gib, per_disk_gib FROM price_lists ORDER BY valid_from');
  const lists = rows.filter((row) => row.valid_from < current.version).map((row) => ({
    validFrom: row.valid_from, currency: row.currency, perVcpu: row.per_vcpu, perMemoryGib: row.per_memory_gib, perDiskGib: row.per_disk_gib,
  }));
  return [...lists, { validFrom: current.version, ...current.value }];
}
