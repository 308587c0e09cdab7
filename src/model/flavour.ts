// A size that may be chosen as a preset.
import type { Size } from './size.ts';

export interface Flavour extends Size {
  readonly id: string;
  readonly name: string;
  readonly position: number;
  readonly enabled: boolean;
}
