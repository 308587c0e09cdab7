// What a test may have go wrong, a procedure at a time.
import type { AnyProcedureName } from './extra-procedures.ts';

export type Fault =
  /** the daemon refuses; `domain` is VIR_FROM_*, 10 (QEMU) when left out */
  | { readonly type: 'error'; readonly code: number; readonly domain?: number; readonly message: string }
  /** nothing is done and no answer ever comes */
  | { readonly type: 'silence' }
  /** it is done, and answered so many milliseconds later than usual */
  | { readonly type: 'late'; readonly ms: number }
  /** it is done, half of the answer is sent, and the connection ends */
  | { readonly type: 'cut' }
  /** it is done, and the connection ends before the answer */
  | { readonly type: 'lost' }
  /** the connection ends before anything is done */
  | { readonly type: 'close' }
  /** the answer announces a frame of so many bytes */
  | { readonly type: 'frame-length'; readonly bytes: number }
  /** the answer is this instead of what it should be */
  | { readonly type: 'garbage'; readonly body: Buffer };

export interface FaultOptions {
  /** how many times; default: until removed */
  readonly times?: number;
  readonly once?: boolean;
  /** only for calls whose arguments satisfy this */
  readonly when?: (args: Readonly<Record<string, unknown>>) => boolean;
}

interface Planned { readonly fault: Fault; left: number; readonly when: (args: Readonly<Record<string, unknown>>) => boolean }

export class Faults {
  private readonly planned = new Map<AnyProcedureName, Planned[]>();

  /** The returned function takes it back. */
  plan(procedure: AnyProcedureName, fault: Fault, options: FaultOptions = {}): () => void {
    const entry: Planned = { fault, left: options.once === true ? 1 : (options.times ?? Infinity), when: options.when ?? (() => true) };
    const list = this.planned.get(procedure) ?? [];
    this.planned.set(procedure, [...list, entry]);
    return () => { entry.left = 0; };
  }

  next(procedure: AnyProcedureName, args: unknown): Fault | undefined {
    const entry = this.planned.get(procedure)?.find(({ left, when }) => left > 0 && when(args as Readonly<Record<string, unknown>>));
    if (entry === undefined) return undefined;
    entry.left -= 1;
    return entry.fault;
  }

  clear(): void {
    this.planned.clear();
  }
}
