// What an instance takes from the cluster. MiB and GiB are powers of two.

export interface Size {
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly diskGib: number;
}

export const sizeKeys = ['vcpus', 'memoryMib', 'diskGib'] as const;
export type SizeKey = (typeof sizeKeys)[number];

/** "512 MiB", "8 GiB", "1.5 GiB": the same in every language. */
export function memoryText(memoryMib: number): string {
  return memoryMib < 1024 ? `${memoryMib} MiB` : `${Math.round((memoryMib / 1024) * 100) / 100} GiB`;
}
