// What an error of a step means: wait for the host, or give up and undo; and what people are told.
import { AppError, say, type Sentence } from '../errors.ts';
import { HostUnavailableError, isHostBusy, toAppError } from '../libvirt/errors.ts';

/**
 * The host is proven to run nothing, and nothing may be asked of it until it has checked in. Not worth waiting for: what
 * was to be done there fails, what was to be taken back there is gone already.
 */
export class HostFencedError extends AppError {
  constructor(host: string) {
    super('conflict', say('operations.failed.host-fenced', { host }));
  }
}

/** The step can be tried again as it is: the host was silent or too busy, or the database was away. */
export function isWorthWaiting(error: unknown): boolean {
  if (error instanceof HostUnavailableError || isHostBusy(error)) return true;
  return error instanceof AppError && error.kind === 'host-unavailable';
}

/** In words for a person. What is not expected is a bug: its text stays in the log. */
export function failureSentence(error: unknown, hostName: string): Sentence {
  const known = toAppError(error, hostName);
  return known instanceof AppError ? known.sentence : say('operations.failed.bug');
}

/** Is it one that a person can do nothing about? */
export function isBug(error: unknown): boolean {
  return !(toAppError(error, '') instanceof AppError);
}
