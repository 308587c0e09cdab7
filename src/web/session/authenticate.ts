// Name and password in, a user or one of two answers out. Who does not know the password learns nothing: an unknown name,
// a wrong password and a disabled account cost the same work and get the same words; the login lets them wait the same time.
import { hashPassword, isPassword, needsRehash } from '../../password.ts';
import { AppError, say } from '../../errors.ts';
import type { User } from '../../model/user.ts';
import type { Database } from '../../store/db.ts';
import { clearPoints, refundPoints } from '../../store/rate-limits.ts';
import { selectOptionalUser, selectOptionalUserByName, selectPasswordHash, updatePasswordHash } from '../../store/users.ts';
import { devicesOf, type Device } from './device.ts';
import { limits, networkOf, spend } from './limits.ts';

interface Attempt {
  readonly name: string;
  readonly password: string;
  readonly ip: string;
  /** what the browser shows: of an earlier login, to whatever account */
  readonly device: Device | undefined;
}

/** The user, or undefined for a wrong name or password. Throws AppError too-many; forbidden for accounts that are not active. */
export async function authenticate(db: Database, { name, password, ip, device }: Attempt, now: number): Promise<User | undefined> {
  const address = networkOf(ip);
  const pair = `${address} ${name}`;
  const isKnown = device !== undefined && (await isOf(db, device, name));
  // counted before the work, so that many tries at once are many tries
  if (isKnown) {
    await spend(db, limits.loginDevice, device.id, now);
    await spend(db, limits.logins, devicesOf(device.userId), now);
  } else {
    await spend(db, limits.loginFromAddress, address, now);
    await spend(db, limits.loginPair, pair, now);
    await spend(db, limits.logins, pair, now);
    await spend(db, limits.loginName, name, now);
  }

  const user = await selectOptionalUserByName(db, name);
  const hash = user && (await selectPasswordHash(db, user.id));
  const matches = await isPassword(password, hash);
  if (user === undefined || hash === undefined || !matches) return undefined;

  if (isKnown) {
    await clearPoints(db, limits.loginDevice, device.id);
  } else {
    await refundPoints(db, [limits.loginFromAddress], address);
    await clearPoints(db, limits.loginPair, pair);
    await clearPoints(db, limits.loginName, name);
  }
  if (user.state === 'pending') throw new AppError('forbidden', say('session.pending'));
  if (user.state === 'disabled') throw new AppError('forbidden', say('session.disabled'));
  if (needsRehash(hash)) await rehash(db, user, password, hash);
  return user;
}

/** Whether it is of the account with this name. Looks at the device's own account only: of the name it tells nothing else. */
async function isOf(db: Database, device: Device, name: string): Promise<boolean> {
  return (await selectOptionalUser(db, device.userId))?.name === name;
}

async function rehash(db: Database, user: User, password: string, before: string): Promise<void> {
  try {
    await updatePasswordHash(db, user.id, before, await hashPassword(password, user.name));
  } catch (error) {
    // set when the rules were other ones, or the queue is full: the old hash still serves
    if (!(error instanceof AppError)) throw error;
  }
}
