// Who listens to what. Caps keep one person's forgotten windows, or everybody's together, from taking all sockets.
import type { Role } from '../../model/access.ts';
import type { Language } from '../../model/user.ts';

export interface Subscriber {
  readonly userId: string;
  readonly role: Role;
  /** the row of the session that opened it; the stream ends with it */
  readonly sessionRowId: string;
  readonly language: Language;
  /** what the window shows; which of these it may see is decided at every tick */
  readonly instanceIds: readonly string[];
  /** hosts it shows; everybody sees how loaded these are */
  readonly hostIds: readonly string[];
  /** what remains in the cluster */
  readonly cluster: boolean;
  /** all moves that wait or go on; for admins */
  readonly moves: boolean;
  send(event: 'patch' | 'end', data: unknown): void;
  close(): void;
}

/** A window needs one; too few and a person with many tabs sees some stand still. */
const perUser = 12;
/** Each costs a socket and some 20 KiB. */
const inAll = 1000;
/** One page of the VM Monitor and a margin. */
export const maxInstances = 100;

export class Subscriptions {
  readonly #all = new Set<Subscriber>();

  /** False: too many already. */
  add(subscriber: Subscriber): boolean {
    const mine = [...this.#all].filter((other) => other.userId === subscriber.userId).length;
    if (mine >= perUser || this.#all.size >= inAll) return false;
    this.#all.add(subscriber);
    return true;
  }

  remove(subscriber: Subscriber): void {
    this.#all.delete(subscriber);
  }

  get size(): number {
    return this.#all.size;
  }

  list(): readonly Subscriber[] {
    return [...this.#all];
  }
}
