// Ids of instances that a wizard carries in its form. They can be told from ids that somebody made up: whoever could choose one
// could choose that of a deleted machine, and be shown, or given, what is left of it (its operations, a volume nobody removed).
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** A UUID whose second half follows from its first, for this user. */
export function issueInstanceId(secret: string, userId: string): string {
  const hex = randomBytes(8).toString('hex');
  const head = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13)}`;
  return `${head}-${tailOf(secret, userId, head)}`;
}

export function isIssuedInstanceId(secret: string, userId: string, id: string): boolean {
  const head = id.slice(0, 18);
  const right = Buffer.from(`${head}-${tailOf(secret, userId, head)}`);
  const given = Buffer.from(id);
  return given.length === right.length && timingSafeEqual(given, right);
}

function tailOf(secret: string, userId: string, head: string): string {
  const hex = createHmac('sha256', secret).update(JSON.stringify(['instance', userId, head])).digest('hex');
  return `8${hex.slice(1, 4)}-${hex.slice(4, 16)}`;
}
