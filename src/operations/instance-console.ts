// Opening a screen: a new password for VNC, for a few minutes. Until somebody opens it a screen is locked (its password
// expired long ago), QEMU itself refuses after the expiry, and opening it again makes the earlier password worthless.
import { randomInt } from 'node:crypto';
import { AppError, say } from '../errors.ts';
import { toAppError } from '../libvirt/errors.ts';
import { readVncGraphics, vncPasswordXml } from '../libvirt/graphics-xml.ts';
import type { Hypervisor } from '../libvirt/hypervisor.ts';
import { instanceRefuses, isChangingHosts, type Instance } from '../model/instance.ts';
import type { User } from '../model/user.ts';
import { selectHost } from '../store/hosts.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { selectOptionalInstance, updateInstanceConsole } from '../store/instances.ts';
import { selectMovesByInstance } from '../store/moves.ts';
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

/** Makes a password for the instance's screen. Throws conflict when it has none now or is on its way to another host, host-unavailable when the host is silent. */
export async function openConsole(deps: OperationDeps, instance: Instance, actor: Pick<User, 'id'>): Promise<OpenedConsole> {
  const refusal = instanceRefuses('console', instance);
  if (refusal !== undefined) throw new AppError('conflict', refusal);
  if (instance.hostId === null) throw new AppError('conflict', say('console.no-screen'));
  if (await isUnderWay(deps, instance)) throw moving();
  const host = await selectHost(deps.db, instance.hostId);
  const { console: settings } = await selectSettings(deps.db);
  const now = deps.clock.now();
  const password = makeConsolePassword();
  const expiresAt = Math.floor(now / 1000) * 1000 + settings.passwordSeconds * 1000;
  const port = await setPassword(deps.hosts.host(host.id), instance.id, password, expiresAt).catch(async (error: unknown) => {
    throw (await hasLeft(deps, instance)) ? moving() : toAppError(error, host.name);
  });
  if (!(await updateInstanceConsole(deps.db, instance.id, { hostId: host.id, port, expiresAt }))) throw moving();
  await insertInstanceEvent(deps.db, { instanceId: instance.id, at: now, userId: actor.id, sentence: say('console.diary.opened', { seconds: settings.passwordSeconds }) });
  return { address: host.consoleAddress, port, password, expiresAt };
}

/** A domain that is being moved takes no changes, and then is another host's: there is nothing wrong, only nothing to open yet. */
const moving = (): AppError => new AppError('conflict', say('console.moving'), { retryAfterSeconds: 2 });

/** libvirt would hold the call back until the move has ended, and then carry it out on what is left there. */
async function isUnderWay({ db }: OperationDeps, instance: Instance): Promise<boolean> {
  if (!isChangingHosts(instance)) return false;
  const [move] = await selectMovesByInstance(db, instance.id, 1);
  return move !== undefined && move.state === 'moving' && move.begunAt !== null && move.fromHostId === instance.hostId;
}

async function hasLeft({ db }: OperationDeps, { id, hostId }: Instance): Promise<boolean> {
  const now = await selectOptionalInstance(db, id);
  return now !== undefined && (now.hostId !== hostId || isChangingHosts(now));
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
