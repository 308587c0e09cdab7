// What an instance takes from the cluster. MiB and GiB are powers of two.

export interface Size {
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly diskGib: number;
}

export const sizeKeys = ['vcpus', 'memoryMib', 'diskGib'] as const;
export type SizeKey = (typeof sizeKeys)[number];
