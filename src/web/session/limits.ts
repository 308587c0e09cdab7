// How often something may be tried, shared by all portals. The words say nothing about whether an account exists.
import { AppError, say } from '../../errors.ts';
import type { Database } from '../../store/db.ts';
import { spendPoints, type RateLimit } from '../../store/rate-limits.ts';

const minuteMs = 60_000;
const dayMs = 1440 * minuteMs;

/** Lower: people behind one address (a lab's NAT) lock each other out; higher: guessing gets cheap. */
export const limits = {
  /** from one address, whoever it names */
  loginFromAddress: { name: 'login-address', points: 100, windowMs: 15 * minuteMs },
  /** one address at one account */
  loginPair: { name: 'login-pair', points: 10, windowMs: 15 * minuteMs },
  /** at one account from everywhere but its own devices; a botnet keeps its owner from new ones, and that is the lesser evil */
  loginName: { name: 'login-name', points: 60, windowMs: 60 * minuteMs },
  /** from one device at the account that it has logged in to before: none of those above */
  loginDevice: { name: 'login-device', points: 10, windowMs: 15 * minuteMs },
  /** of one account from one address or from all of its devices, the right ones too: each takes as much of the processor as a wrong one */
  logins: { name: 'logins', points: 60, windowMs: 15 * minuteMs },
  register: { name: 'register', points: 20, windowMs: 60 * minuteMs },
  setup: { name: 'setup', points: 20, windowMs: 15 * minuteMs },
  /** the old password, asked before it is changed: a stolen session must not guess it, and nobody changes it more often */
  passwordCheck: { name: 'password-check', points: 10, windowMs: 15 * minuteMs },
  /**
   * changes by one user, or from one address where nobody is logged in; refused ones too, for each leaves a row in the audit
   * log. Lower: a script that makes a class's machines is stopped; higher: a script that means harm fills the disk.
   */
  changes: { name: 'changes', points: 600, windowMs: 10 * minuteMs },
  /** of those that leave a row. Lower: a day of steady work by a script is cut short; higher: the audit log grows without end. */
  changesPerDay: { name: 'changes-day', points: 3000, windowMs: dayMs },
  /** the same where nobody is logged in, wrong passwords above all */
  visitorChangesPerDay: { name: 'visitor-changes-day', points: 1000, windowMs: dayMs },
  contact: { name: 'contact', points: 10, windowMs: 60 * minuteMs },
} as const satisfies Record<string, RateLimit>;

/** What counts for the audit rows of people who are not logged in. */
export const visitorChanges = [limits.changes, limits.visitorChangesPerDay] as const;

/** Counts a try, under several limits from the first on; throws AppError too-many, with the time to wait, when there were too many. */
export async function spend(db: Database, limit: RateLimit | readonly [RateLimit, ...RateLimit[]], subject: string, now: number): Promise<void> {
  const spent = await spendPoints(db, 'points' in limit ? [limit] : limit, subject, now);
  if (spent.allowed) return;
  const retryAfterSeconds = Math.max(1, Math.ceil(spent.remainingMs / 1000));
  const sentence = spent.limit.windowMs < dayMs ? say('session.too-many', { minutes: Math.ceil(retryAfterSeconds / 60) })
    : say('session.too-many-today', { max: spent.limit.points, hours: Math.ceil(retryAfterSeconds / 3600) });
  throw new AppError('too-many', sentence, { retryAfterSeconds });
}

/** What counts as one address: of IPv6 the first 64 bits, for whoever has one such address has them all. */
export function networkOf(ip: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (mapped !== undefined) return mapped;
  if (!ip.includes(':')) return ip;
  const [head = '', tail] = (ip.split('%')[0] ?? '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  return `${groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
