// Accounts. Whoever may log in is decided here and in sessions.ts; reserving quota is reservations' matter.
import type { Role } from '../model/access.ts';
import type { Language, QuotaOverride, User, UserState } from '../model/user.ts';
import { AppError, say } from '../errors.ts';
import { isAscii } from './columns.ts';
import { isDuplicateKey, type Database, type Db } from './db.ts';

interface UserRow {
  id: string;
  name: string;
  display_name: string;
  email: string;
  password_hash: string;
  role: Role;
  state: UserState;
  language: Language | null;
  quota_instances: number | null;
  quota_vcpus: number | null;
  quota_memory_mib: number | null;
  quota_disk_gib: number | null;
  used_instances: number;
  used_vcpus: number;
  used_memory_mib: number;
  used_disk_gib: number;
  session_epoch: number;
  created_at: number;
}

const columns = `id, name, display_name, email, role, state, language, quota_instances, quota_vcpus, quota_memory_mib, quota_disk_gib,
  used_instances, used_vcpus, used_memory_mib, used_disk_gib, session_epoch, created_at`;

function toUser(row: UserRow): User {
  return {
    id: row.id,
    name: row.name,
    displayName: row.display_name,
    email: row.email,
    role: row.role,
    state: row.state,
    language: row.language,
    quota: { instances: row.quota_instances, vcpus: row.quota_vcpus, memoryMib: row.quota_memory_mib, diskGib: row.quota_disk_gib },
    usage: { instances: row.used_instances, vcpus: row.used_vcpus, memoryMib: row.used_memory_mib, diskGib: row.used_disk_gib },
    sessionEpoch: row.session_epoch,
    createdAt: row.created_at,
  };
}

export interface NewUser {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly email: string;
  readonly passwordHash: string;
  readonly role: Role;
  readonly state: UserState;
  readonly language: Language | null;
  readonly createdAt: number;
}

export async function selectOptionalUser(db: Db, id: string): Promise<User | undefined> {
  const [row] = await db.query<UserRow>(`SELECT ${columns} FROM users WHERE id = ?`, [id]);
  return row && toUser(row);
}

/** Throws not-found. */
export async function selectUser(db: Db, id: string): Promise<User> {
  const user = await selectOptionalUser(db, id);
  if (user === undefined) throw new AppError('not-found', say('users.not-found'));
  return user;
}

export async function selectOptionalUserByName(db: Db, name: string): Promise<User | undefined> {
  if (!isAscii(name)) return undefined;
  const [row] = await db.query<UserRow>(`SELECT ${columns} FROM users WHERE name = ?`, [name]);
  return row && toUser(row);
}

/** Login names by id, for lists of what people own. */
export async function selectUserNames(db: Db, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db.query<{ id: string; name: string }>('SELECT id, name FROM users WHERE id IN (?)', [ids]);
  return new Map(rows.map((row) => [row.id, row.name]));
}

export async function selectPasswordHash(db: Db, id: string): Promise<string | undefined> {
  const [row] = await db.query<UserRow>('SELECT password_hash FROM users WHERE id = ?', [id]);
  return row?.password_hash;
}

export interface UserFilter {
  /** part of the name, the display name or the mail address */
  readonly search?: string | undefined;
  readonly state?: UserState | undefined;
  readonly role?: Role | undefined;
}

/** By name. `total` counts what the filter lets through. */
export async function selectUsersPage(db: Db, filter: UserFilter, limit: number, offset: number): Promise<{ users: User[]; total: number }> {
  const conditions: string[] = [];
  const params: string[] = [];
  const and = (condition: string, ...values: string[]): void => {
    conditions.push(condition);
    params.push(...values);
  };
  if (filter.search !== undefined && filter.search !== '') {
    const pattern = `%${filter.search.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`;
    and('(CONVERT(name USING utf8mb4) LIKE ? OR LOWER(display_name) LIKE ? OR LOWER(email) LIKE ?)', pattern, pattern, pattern);
  }
  if (filter.state !== undefined) and('state = ?', filter.state);
  if (filter.role !== undefined) and('role = ?', filter.role);
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const rows = await db.query<UserRow>(`SELECT ${columns} FROM users ${where} ORDER BY name LIMIT ? OFFSET ?`, [...params, limit, offset]);
  const [count] = await db.query<{ total: number }>(`SELECT COUNT(*) AS total FROM users ${where}`, params);
  return { users: rows.map(toUser), total: count?.total ?? 0 };
}

export async function countUsersByState(db: Db): Promise<Record<UserState, number>> {
  const rows = await db.query<{ state: UserState; total: number }>('SELECT state, COUNT(*) AS total FROM users GROUP BY state');
  const counts = { pending: 0, active: 0, disabled: 0 };
  for (const row of rows) counts[row.state] = row.total;
  return counts;
}

/** False: the name is taken. Repeating it with the same id is the same insert. */
export async function insertUser(db: Db, user: NewUser): Promise<boolean> {
  try {
    await db.execute(
      `INSERT INTO users (id, name, display_name, email, password_hash, role, state, language, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      [user.id, user.name, user.displayName, user.email, user.passwordHash, user.role, user.state, user.language, user.createdAt, user.createdAt],
    );
    return true;
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
    return (await selectOptionalUserByName(db, user.name))?.id === user.id;
  }
}

export async function adminExists(db: Db): Promise<boolean> {
  const rows = await db.query("SELECT id FROM users WHERE role = 'admin' LIMIT 1");
  return rows.length > 0;
}

export type FirstAdminResult = 'made' | 'admin-exists' | 'name-taken';

/**
 * Whoever changes the set of admins holds this row until the end of the transaction. What is read after it must be read with
 * locks: on MySQL Cluster the rows of a transaction are committed one after the other, so the guard may be ours before the
 * admins are as its last holder left them.
 */
async function holdAdminGuard(tx: Db): Promise<void> {
  await tx.execute('INSERT INTO admin_guard (id) VALUES (1) ON DUPLICATE KEY UPDATE id = id');
}

/** Makes the first admin unless there is one; any number of portals may try at once. */
export async function insertFirstAdmin(db: Database, admin: NewUser): Promise<FirstAdminResult> {
  return db.transaction(async (tx) => {
    await holdAdminGuard(tx);
    const [first] = await tx.query<{ id: string }>("SELECT id FROM users WHERE role = 'admin' ORDER BY id = ? DESC LIMIT 1 LOCK IN SHARE MODE", [admin.id]);
    if (first !== undefined) return first.id === admin.id ? 'made' : 'admin-exists';
    return (await insertUser(tx, { ...admin, role: 'admin', state: 'active' })) ? 'made' : 'name-taken';
  });
}

export async function updateProfile(
  db: Db,
  id: string,
  profile: { readonly displayName: string; readonly email: string; readonly language: Language | null },
  now: number,
): Promise<void> {
  await db.execute('UPDATE users SET display_name = ?, email = ?, language = ?, updated_at = ? WHERE id = ?', [
    profile.displayName, profile.email, profile.language, now, id,
  ]);
}

export async function updateLanguage(db: Db, id: string, language: Language, now: number): Promise<void> {
  await db.execute('UPDATE users SET language = ?, updated_at = ? WHERE id = ?', [language, now, id]);
}

/** Sets the password and ends every session on all portals. */
export async function updatePassword(db: Db, id: string, passwordHash: string, now: number): Promise<void> {
  await db.execute('UPDATE users SET password_hash = ?, session_epoch = session_epoch + 1, updated_at = ? WHERE id = ?', [passwordHash, now, id]);
}

/** The same password, hashed harder: sessions stay. Compare-and-set, so that a password changed meanwhile wins. */
export async function updatePasswordHash(db: Db, id: string, before: string, after: string): Promise<void> {
  await db.execute('UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?', [after, id, before]);
}

/** Ends every session of the user on all portals. */
export async function bumpSessionEpoch(db: Db, id: string, now: number): Promise<void> {
  await db.execute('UPDATE users SET session_epoch = session_epoch + 1, updated_at = ? WHERE id = ?', [now, id]);
}

export async function updateQuota(db: Db, id: string, quota: QuotaOverride, now: number): Promise<void> {
  await db.execute('UPDATE users SET quota_instances = ?, quota_vcpus = ?, quota_memory_mib = ?, quota_disk_gib = ?, updated_at = ? WHERE id = ?', [
    quota.instances, quota.vcpus, quota.memoryMib, quota.diskGib, now, id,
  ]);
}

export type AccessResult = 'done' | 'missing' | 'last-admin';

/**
 * Sets role and state, and ends the user's sessions. Refuses to leave the cloud without an active admin, also when two
 * admins demote each other at the same moment.
 */
export async function updateUserAccess(
  db: Database,
  id: string,
  access: { readonly role?: Role; readonly state?: UserState },
  now: number,
): Promise<AccessResult> {
  return db.transaction(async (tx) => {
    await holdAdminGuard(tx);
    const [user] = await tx.query<Pick<UserRow, 'role' | 'state'>>('SELECT role, state FROM users WHERE id = ? FOR UPDATE', [id]);
    if (user === undefined) return 'missing';
    const role = access.role ?? user.role;
    const state = access.state ?? user.state;
    if (role === user.role && state === user.state) return 'done';
    if (isActiveAdmin(user) && !isActiveAdmin({ role, state })) {
      if (!(await hasOtherAdmin(tx, id))) return 'last-admin';
    }
    await tx.execute('UPDATE users SET role = ?, state = ?, session_epoch = session_epoch + 1, updated_at = ? WHERE id = ?', [role, state, now, id]);
    return 'done';
  });
}

/** Those who look like one are asked again with a lock, which waits for whoever is just making them something else. */
async function hasOtherAdmin(tx: Db, id: string): Promise<boolean> {
  const seen = await tx.query<{ id: string }>("SELECT id FROM users WHERE role = 'admin' AND state = 'active' AND id <> ?", [id]);
  if (seen.length === 0) return false;
  const others = await tx.query("SELECT id FROM users WHERE id IN (?) AND role = 'admin' AND state = 'active' LIMIT 1 LOCK IN SHARE MODE", [seen.map((other) => other.id)]);
  return others.length > 0;
}

function isActiveAdmin(user: { readonly role: Role; readonly state: UserState }): boolean {
  return user.role === 'admin' && user.state === 'active';
}
