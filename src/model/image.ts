// What a disk is made from: a file in a storage pool, checked once when an admin registers it.

export interface Image {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly poolId: string;
  /** file name in the pool */
  readonly volume: string;
  readonly format: 'qcow2' | 'raw';
  readonly virtualSizeBytes: number;
  readonly minMemoryMib: number;
  /** takes a NoCloud seed: SSH key, user data */
  readonly cloudInit: boolean;
  readonly enabled: boolean;
  readonly createdAt: number;
}

const gib = 1024 ** 3;

/** The smallest disk an instance of this image can have, GiB. */
export function minDiskGib(image: Image): number {
  return Math.max(1, Math.ceil(image.virtualSizeBytes / gib));
}
