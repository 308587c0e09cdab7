// Name and password in, a user or one of two answers out. Who does not know the password learns nothing: an unknown name,
// a wrong password and a disabled account cost the same work and get the same words.
import { hashPassword, isPassword, needsRehash } from '../../password.ts';
import { AppError, say } from '../../errors.ts';
import type { User } from '../../model/user.ts';
import type { Database } from '../../store/db.ts';
import { clearPoints, refundPoint } from '../../store/rate-limits.ts';
import { selectOptionalUserByName, selectPasswordHash, updatePasswordHash } from '../../store/users.ts';
import { limits, networkOf, spend } from './limits.ts';

/** The user, or undefined for a wrong name or password. Throws AppError too-many; forbidden for accounts that are not active. */
export async function authenticate(db: Database, name: string, password: string, ip: string, now: number): Promise<User | undefined> {
  const address = networkOf(ip);
  // counted before the work, so that many tries at once are many tries
  await spend(db, limits.loginFromAddress, address, now);
  await spend(db, limits.loginPair, `${address} ${name}`, now);
  await spend(db, limits.logins, `${address} ${name}`, now);
  await spend(db, limits.loginName, name, now);

  const user = await selectOptionalUserByName(db, name);
  const hash = user && (await selectPasswordHash(db, user.id));
  const matches = await isPassword(password, hash);
  if (user === undefined || hash === undefined || !matches) return undefined;

  await refundPoint(db, limits.loginFromAddress, address);
  await clearPoints(db, limits.loginPair, `${address} ${name}`);
  await clearPoints(db, limits.loginName, name);
  if (user.state === 'pending') throw new AppError('forbidden', say('session.pending'));
  if (user.state === 'disabled') throw new AppError('forbidden', say('session.disabled'));
  if (needsRehash(hash)) await rehash(db, user, password, hash);
  return user;
}

async function rehash(db: Database, user: User, password: string, before: string): Promise<void> {
  try {
    await updatePasswordHash(db, user.id, before, await hashPassword(password, user.name));
  } catch (error) {
    // set when the rules were other ones, or the queue is full: the old hash still serves
    if (!(error instanceof AppError)) throw error;
  }
}
