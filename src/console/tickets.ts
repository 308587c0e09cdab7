// A ticket lets one session open one screen once, within half a minute. It travels in the WebSocket's subprotocol list, so
// that it never stands in a URL, where proxies and histories would keep it.
import { createHash, randomBytes } from 'node:crypto';
import { claimConsoleTicket, insertConsoleTicket, purgeConsoleTickets, type ConsoleTicket } from '../store/console-tickets.ts';
import type { Db } from '../store/db.ts';

/** Too long: a stolen ticket is worth something; too short: a slow phone does not make it. */
export const ticketLifeMs = 30_000;
/** before the ticket in the subprotocol list */
export const ticketProtocolPrefix = 'ticket.';

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** How `sessions` and tickets know a session: the hash of the cookie's id. */
export const sessionRowId = hashOf;

/** Makes a ticket for a session whose right to the instance was just checked. */
export async function issueTicket(db: Db, now: number, holder: { readonly instanceId: string; readonly userId: string; readonly sessionId: string }): Promise<string> {
  const ticket = randomBytes(32).toString('base64url');
  await purgeConsoleTickets(db, now - ticketLifeMs);
  await insertConsoleTicket(db, { ...holder, ticketHash: hashOf(ticket), expiresAt: now + ticketLifeMs });
  return ticket;
}

/** Uses a ticket up. undefined: unknown, used before, or expired. */
export async function redeemTicket(db: Db, now: number, ticket: string): Promise<ConsoleTicket | undefined> {
  return claimConsoleTicket(db, hashOf(ticket), now);
}

/** The ticket in a Sec-WebSocket-Protocol header. */
export function ticketInProtocols(header: string | undefined): string | undefined {
  const protocol = (header ?? '').split(',').map((each) => each.trim()).find((each) => each.startsWith(ticketProtocolPrefix));
  return protocol?.slice(ticketProtocolPrefix.length);
}
