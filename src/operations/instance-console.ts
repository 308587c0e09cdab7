// Opening a screen: a new password for VNC, for a few minutes. Until somebody opens it a screen is locked (its password
// expired long ago), QEMU itself refuses after the expiry, and opening it again makes the earlier password worthless.
import { randomInt } from 'node:crypto';
import { AppError, say } from '../errors.ts';
import { toAppError } from '../libvirt/errors.ts';
import { readVncGraphics, vncPasswordXml } from '../libvirt/graphics-xml.ts';
import type { Hypervisor } from '../libvirt/hypervisor.ts';
import { instanceRefuses, type Instance } from '../model/instance.ts';
import type { User } from '../model/user.ts';
import { selectHost } from '../store/hosts.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { updateInstanceConsole } from '../store/instances.ts';
import { selectSettings } from '../store/settings.ts';
import type { OperationDeps } from './deps.ts';

// Without I, l, 1, O, o and 0, which people take for each other: 56 characters, so 8 of them are 46 bits. VNC takes no more than 8.
const passwordCharacters = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';
const passwordLength = 8;
/** For both calls together. A person is waiting for the page; a host that needs longer is in trouble. */
const deadlineMs = 5000;

export interface OpenedConsole {
  /** what a VNC viewer connects to */
  readonly address: string;
  readonly port: number;
  /** never stored and never logged: this is the only copy */
  readonly password: string;
  /** ms UTC, by the clock of the host */
  readonly expiresAt: number;
}

export function makeConsolePassword(): string {
  return Array.from({ length: passwordLength }, () => passwordCharacters[randomInt(passwordCharacters.length)]).join('');
}

/** Makes a password for the instance's screen. Throws conflict when it has none now, host-unavailable when the host is silent. */
export async function openConsole(deps: OperationDeps, instance: Instance, actor: Pick<User, 'id'>): Promise<OpenedConsole> {
  const refusal = instanceRefuses('console', instance);
  if (refusal !== undefined) throw new AppError('conflict', refusal);
  if (instance.hostId === null) throw new AppError('conflict', say('console.no-screen'));
  const host = await selectHost(deps.db, instance.hostId);
  const { console: settings } = await selectSettings(deps.db);
  const now = deps.clock.now();
  const password = makeConsolePassword();
  const expiresAt = Math.floor(now / 1000) * 1000 + settings.passwordSeconds * 1000;
  const port = await setPassword(deps.hosts.host(host.id), instance.id, password, expiresAt).catch((error: unknown) => {
    throw toAppError(error, host.name);
  });
  await updateInstanceConsole(deps.db, instance.id, { port, expiresAt });
  await insertInstanceEvent(deps.db, { instanceId: instance.id, at: now, userId: actor.id, sentence: say('console.diary.opened', { seconds: settings.passwordSeconds }) });
  return { address: host.consoleAddress, port, password, expiresAt };
}

/** Sets it in the running domain only: the definition keeps the screen locked for the next start. Returns the port. */
async function setPassword(hypervisor: Hypervisor, uuid: string, password: string, validTo: number): Promise<number> {
  const deadline = performance.now() + deadlineMs;
  const left = (): { timeoutMs: number } => ({ timeoutMs: Math.max(1, deadline - performance.now()) });
  const graphics = readVncGraphics(await hypervisor.domain.getXMLDesc(uuid, {}, left()));
  if (graphics === undefined || graphics.port === null) throw new AppError('conflict', say('console.no-screen'));
  await hypervisor.domain.updateDevice(uuid, vncPasswordXml(graphics, password, validTo), { live: true, config: false }, left());
  return graphics.port;
}
