// What a disk is made from: a file in a storage pool, checked once when an admin registers it.
import { say, type Sentence } from '../errors.ts';

export const imageFormats = ['qcow2', 'raw'] as const;
export type ImageFormat = (typeof imageFormats)[number];

export interface Image {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly poolId: string;
  /** file name in the pool */
  readonly volume: string;
  readonly format: ImageFormat;
  readonly virtualSizeBytes: number;
  readonly minMemoryMib: number;
  /** takes a NoCloud seed: SSH key, user data */
  readonly cloudInit: boolean;
  readonly enabled: boolean;
  readonly createdAt: number;
}

const gib = 1024 ** 3;

/** The smallest disk an instance of this image can have, GiB. */
export function minDiskGib(image: Pick<Image, 'virtualSizeBytes'>): number {
  return Math.max(1, Math.ceil(image.virtualSizeBytes / gib));
}

// Control characters of both sets, halves of characters, line separators, and the marks that turn the direction of text and so hide a file's ending.
const hiddenCharacters = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\p{Cs}]/u;

/** undefined: may be the name of a file in a pool. A Sentence: why not. It is never more than one name: no way out of the pool. */
export function volumeNameRefuses(name: string): Sentence | undefined {
  if (name === '' || new TextEncoder().encode(name).length > 255) return say('images.volume.length');
  if (name.includes('/') || name.includes('\\') || name === '.' || name === '..') return say('images.volume.path');
  if (hiddenCharacters.test(name)) return say('images.volume.characters');
  return undefined;
}
