// What can go wrong with a host, and the only place where libvirt's error codes are given a meaning for the product.
import { AppError, say, type ErrorKind } from '../errors.ts';

/** The daemon answered: no. `code` is VIR_ERR_*, `domain` VIR_FROM_* (who says so), `message` libvirt's own text. */
export class LibvirtError extends Error {
  override readonly name = 'LibvirtError';
  constructor(
    readonly code: number,
    readonly domain: number,
    message: string,
    /** name of the procedure that was refused */
    readonly procedure: string,
  ) {
    super(message);
  }
}

/** No answer: not connected, connection lost, deadline passed. Whether a change took place is unknown. */
export class HostUnavailableError extends Error {
  override readonly name = 'HostUnavailableError';
}

/** A URI this client cannot speak; the message says which part and why. */
export class InvalidUriError extends Error {
  override readonly name = 'InvalidUriError';
}

/** The caller gave up (AbortSignal); `cause` is the signal's reason. */
export class AbortError extends Error {
  override readonly name = 'AbortError';
  readonly code = 'ABORT_ERR';
  constructor(signal: AbortSignal) {
    super('The operation was aborted', { cause: signal.reason });
  }
}

/** The codes of virErrorNumber (libvirt's virterror.h) that the product tells apart. */
export const errorCode = {
  internalError: 1,
  noSupport: 3,
  invalidArg: 8,
  operationFailed: 9,
  xmlError: 27,
  domainExists: 28,
  operationDenied: 29,
  networkExists: 37,
  systemError: 38,
  noDomain: 42,
  noNetwork: 43,
  authFailed: 45,
  noStoragePool: 49,
  noStorageVolume: 50,
  operationInvalid: 55,
  noInterface: 57,
  configUnsupported: 67,
  operationTimeout: 68,
  noDomainSnapshot: 72,
  argumentUnsupported: 74,
  storagePoolBuilt: 76,
  operationAborted: 78,
  noDomainMetadata: 80,
  migrateUnsafe: 81,
  operationUnsupported: 84,
  agentUnresponsive: 86,
  resourceBusy: 87,
  accessDenied: 88,
  storageVolumeExists: 90,
  cpuIncompatible: 91,
  xmlInvalidSchema: 92,
  authUnavailable: 94,
} as const;

function hasCode(error: unknown, ...codes: number[]): boolean {
  return error instanceof LibvirtError && codes.includes(error.code);
}

export const isNoDomain = (error: unknown): boolean => hasCode(error, errorCode.noDomain);
export const isNoStoragePool = (error: unknown): boolean => hasCode(error, errorCode.noStoragePool);
export const isNoStorageVolume = (error: unknown): boolean => hasCode(error, errorCode.noStorageVolume);
export const isNoNetwork = (error: unknown): boolean => hasCode(error, errorCode.noNetwork);
export const isNoInterface = (error: unknown): boolean => hasCode(error, errorCode.noInterface);
export const isNoSnapshot = (error: unknown): boolean => hasCode(error, errorCode.noDomainSnapshot);
export const isNoMetadata = (error: unknown): boolean => hasCode(error, errorCode.noDomainMetadata);
/** not possible in the present state: starting what runs, stopping what is off */
export const isOperationInvalid = (error: unknown): boolean => hasCode(error, errorCode.operationInvalid);
/** somebody else works on the same domain just now: the same call may succeed a little later */
export const isHostBusy = (error: unknown): boolean => hasCode(error, errorCode.operationTimeout);
export const isOperationAborted = (error: unknown): boolean => hasCode(error, errorCode.operationAborted);
/**
 * QEMU did not start because another one has the disk open (image locks), or virtlockd's lease is held. It says nothing
 * about who holds it.
 */
export const isImageLocked = (error: unknown): boolean =>
  error instanceof LibvirtError && /failed to get "?(?:write|consistent read|shared "?write"?)"? lock|resource busy: lockspace resource|failed to acquire lock/i.test(error.message);
/** the daemon's driver has no such function */
export const isNotSupported = (error: unknown): boolean =>
  hasCode(error, errorCode.noSupport, errorCode.operationUnsupported, errorCode.argumentUnsupported);

/** a flag that this driver or this version does not know (virCheckFlags); nothing was done */
export const isUnknownFlag = (error: unknown): boolean =>
  hasCode(error, errorCode.invalidArg, errorCode.argumentUnsupported) && (error as Error).message.includes('unsupported flags');

/**
 * A domain, pool, network or volume of that name or UUID is there already. libvirt says "operation failed" for a name or
 * UUID that another domain has (virDomainObjListAddLocked), so its words decide there.
 */
export function isExists(error: unknown): boolean {
  if (hasCode(error, errorCode.domainExists, errorCode.networkExists, errorCode.storageVolumeExists, errorCode.storagePoolBuilt)) return true;
  return hasCode(error, errorCode.operationFailed) && /already exists|is already defined/.test((error as Error).message);
}

/** VIR_ERR_* → kind of AppError, and the key of the sentence. What is not here is the host's own trouble. */
function meaningOf(error: LibvirtError): { readonly kind: ErrorKind; readonly key: string } {
  if (isExists(error)) return { kind: 'conflict', key: 'hypervisor.exists' };
  switch (error.code) {
    case errorCode.noDomain:
    case errorCode.noNetwork:
    case errorCode.noStoragePool:
    case errorCode.noStorageVolume:
    case errorCode.noDomainSnapshot:
    case errorCode.noDomainMetadata:
      return { kind: 'not-found', key: 'hypervisor.not-found' };
    case errorCode.operationInvalid:
    case errorCode.resourceBusy:
    case errorCode.operationAborted:
    case errorCode.migrateUnsafe:
    case errorCode.cpuIncompatible:
      return { kind: 'conflict', key: 'hypervisor.not-now' };
    case errorCode.invalidArg:
    case errorCode.xmlError:
    case errorCode.xmlInvalidSchema:
    case errorCode.configUnsupported:
      return { kind: 'invalid', key: 'hypervisor.refused' };
    case errorCode.noSupport:
    case errorCode.operationUnsupported:
    case errorCode.argumentUnsupported:
      return { kind: 'conflict', key: 'hypervisor.unsupported' };
    case errorCode.authFailed:
    case errorCode.authUnavailable:
    case errorCode.accessDenied:
    case errorCode.operationDenied:
      return { kind: 'host-unavailable', key: 'hypervisor.access-denied' };
    case errorCode.operationTimeout:
    case errorCode.agentUnresponsive:
      return { kind: 'host-unavailable', key: 'hypervisor.too-slow' };
    default:
      return { kind: 'host-unavailable', key: 'hypervisor.failed' };
  }
}

/**
 * An error of this client as one that a person may read; anything else is returned as it came, because it is a bug or
 * an AppError already. libvirt's own text goes in as `reason`; it may name files of the host and other domains.
 */
export function toAppError(error: unknown, hostName: string): unknown {
  if (error instanceof LibvirtError) {
    const { kind, key } = meaningOf(error);
    return new AppError(kind, say(key, { host: hostName, reason: error.message }), { cause: error });
  }
  if (error instanceof HostUnavailableError) {
    return new AppError('host-unavailable', say('hypervisor.unavailable', { host: hostName, reason: error.message }), { cause: error });
  }
  if (error instanceof InvalidUriError) {
    return new AppError('invalid', say('hypervisor.invalid-uri', { reason: error.message }), { cause: error });
  }
  return error;
}
