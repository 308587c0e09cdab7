// Device cookies (https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies): a browser that has logged
// in to an account shows that it has, and its next login there has tries of its own. So nobody keeps people out by guessing
// at their names or by using up what their network may try. It opens nothing, and of other accounts it says nothing.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import type { Config } from '../../config.ts';
import type { User } from '../../model/user.ts';
import { isHttps } from '../security.ts';

const yearMs = 365 * 86_400_000;

export interface Device {
  /** of one login */
  readonly id: string;
  /** whose it was */
  readonly userId: string;
}

/** Where logins have come from to this account: one name for all, however many cookies somebody collects. */
export function devicesOf(userId: string): string {
  return `devices of ${userId}`;
}

/** The device that a request shows; undefined: none, or one that we did not sign. */
export function deviceOf(config: Config, req: Request): Device | undefined {
  const [, userId, id, given] = new RegExp(`(?:^|;\\s*)${cookieName(config)}=([0-9a-f-]{36})\\.([0-9a-f]{32})\\.([0-9a-f]{64})(?:;|$)`).exec(req.headers.cookie ?? '') ?? [];
  if (userId === undefined || id === undefined || given === undefined) return undefined;
  const device = { id, userId };
  return timingSafeEqual(Buffer.from(given), Buffer.from(signatureOf(config, device))) ? device : undefined;
}

/** Goes with the answer to a good login. Each has a new id: who copied an older cookie cannot use up the tries of this one. */
export function rememberDevice(config: Config, req: Request, user: User): void {
  const device = { id: randomBytes(16).toString('hex'), userId: user.id };
  req.res?.cookie(cookieName(config), `${device.userId}.${device.id}.${signatureOf(config, device)}`, { path: '/', httpOnly: true, sameSite: 'lax', secure: isHttps(config), maxAge: yearMs });
}

function cookieName(config: Config): string {
  return isHttps(config) ? '__Host-device' : 'device';
}

function signatureOf(config: Config, device: Device): string {
  return createHmac('sha256', config.sessionSecret).update(`device ${device.id} of ${device.userId}`).digest('hex');
}
