// The price list: per month, in one currency.
import type { Size } from './size.ts';

export interface PriceList {
  /** shown before amounts, e.g. "NT$" */
  readonly currency: string;
  /** per vCPU, per GiB of memory, per GiB of disk */
  readonly perVcpu: number;
  readonly perMemoryGib: number;
  readonly perDiskGib: number;
}

export interface Price { readonly vcpus: number; readonly memory: number; readonly disk: number; readonly total: number }

/** Price of a size, line by line, rounded to the currency's hundredth. */
export function priceOf(size: Size, prices: PriceList): Price {
  const round = (amount: number): number => Math.round(amount * 100) / 100;
  const vcpus = round(size.vcpus * prices.perVcpu);
  const memory = round((size.memoryMib / 1024) * prices.perMemoryGib);
  const disk = round(size.diskGib * prices.perDiskGib);
  return { vcpus, memory, disk, total: round(vcpus + memory + disk) };
}
