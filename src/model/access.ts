// Who may open what. `/admin` ⇔ admin is tested over the whole route table.

export type Access = 'visitor' | 'user' | 'admin';
export const roles = ['user', 'admin'] as const;
export type Role = (typeof roles)[number];

/** May a person with this role (undefined: not logged in) open something of that access? */
export function mayAccess(access: Access, role: Role | undefined): boolean {
  if (access === 'visitor') return true;
  if (role === undefined) return false;
  return access === 'user' || role === 'admin';
}
