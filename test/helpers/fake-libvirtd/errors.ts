// libvirt's refusals in libvirt's own words and numbers (checked against 9.0).
export class FakeError extends Error {
  constructor(readonly code: number, readonly domain: number, message: string) {
    super(message);
  }
}

/** VIR_FROM_* */
const from = { xml: 5, qemu: 10, storage: 18, network: 19, domain: 20, interface: 26, streams: 38 } as const;

export const refuse = {
  noDomain: (uuid: string, name = uuid) => new FakeError(42, from.qemu, `Domain not found: no domain with matching uuid '${uuid}' (${name})`),
  noDomainNamed: (name: string) => new FakeError(42, from.qemu, `Domain not found: no domain with matching name '${name}'`),
  alreadyRunning: () => new FakeError(55, from.qemu, 'Requested operation is not valid: domain is already running'),
  notRunning: () => new FakeError(55, from.qemu, 'Requested operation is not valid: domain is not running'),
  agentTimeout: () => new FakeError(86, from.qemu, 'Guest agent is not responding: Guest agent not available for now'),
  transient: () => new FakeError(55, from.qemu, 'Requested operation is not valid: cannot undefine transient domain'),
  noJob: () => new FakeError(55, from.qemu, 'Requested operation is not valid: no job is active on the domain'),
  jobActive: () => new FakeError(55, from.qemu, 'Requested operation is not valid: another migration job is already running for the domain'),
  nameTaken: (name: string, uuid: string) => new FakeError(9, from.domain, `operation failed: domain '${name}' already exists with uuid ${uuid}`),
  uuidTaken: (name: string, uuid: string) => new FakeError(9, from.domain, `operation failed: domain '${name}' is already defined with uuid ${uuid}`),
  notWellFormed: (words: string) => new FakeError(35, from.domain, `(domain_definition):1: ${words}`),
  invalidXml: (words: string) => new FakeError(92, from.xml, `XML document failed to validate against schema: ${words}`),
  noMetadata: () => new FakeError(80, from.domain, 'metadata not found: Requested metadata element is not present'),
  noSnapshot: (name: string) => new FakeError(72, from.qemu, `Domain snapshot not found: no domain snapshot with matching name '${name}'`),
  noPool: (name: string) => new FakeError(49, from.storage, `Storage pool not found: no storage pool with matching name '${name}'`),
  noPoolWithUuid: (uuid: string) => new FakeError(49, from.storage, `Storage pool not found: no storage pool with matching uuid '${uuid}'`),
  poolExists: (name: string, uuid: string) => new FakeError(9, from.storage, `operation failed: pool '${name}' already exists with uuid ${uuid}`),
  poolActive: (name: string) => new FakeError(55, from.storage, `Requested operation is not valid: storage pool '${name}' is already active`),
  poolInactive: (name: string) => new FakeError(55, from.storage, `Requested operation is not valid: storage pool '${name}' is not active`),
  noVolume: (name: string) => new FakeError(50, from.storage, `Storage volume not found: no storage vol with matching name '${name}'`),
  noVolumeAt: (path: string) => new FakeError(50, from.storage, `Storage volume not found: no storage vol with matching path '${path}'`),
  volumeExists: (name: string) => new FakeError(90, from.storage, `storage volume '${name}' exists already`),
  noBacking: (path: string) => new FakeError(38, from.storage, `inaccessible backing store volume ${path}: No such file or directory`),
  noDiskFile: (path: string) => new FakeError(38, from.storage, `Cannot access storage file '${path}' (as uid:0, gid:0): No such file or directory`),
  poolFull: (path: string) => new FakeError(38, from.storage, `cannot fill file '${path}': No space left on device`),
  diskLocked: (path: string) => new FakeError(1, from.qemu, `internal error: process exited while connecting to monitor: Failed to get "write" lock. Is another process using the image [${path}]?`),
  noNetwork: (name: string) => new FakeError(43, from.network, `Network not found: no network with matching name '${name}'`),
  networkInactive: (name: string) => new FakeError(55, from.network, `Requested operation is not valid: network '${name}' is not active`),
  networkActive: () => new FakeError(55, from.network, 'Requested operation is not valid: network is already active'),
  noInterface: (name: string) => new FakeError(57, from.interface, `Interface not found: couldn't find interface named '${name}'`),
  noDevice: (words: string) => new FakeError(99, from.qemu, `device not found: ${words}`),
  invalidArgument: (words: string) => new FakeError(8, from.qemu, `invalid argument: ${words}`),
  unsupported: (procedure: string) => new FakeError(3, from.qemu, `this function is not supported by the connection driver: ${procedure}`),
  noConnection: (uri: string) => new FakeError(38, 7, `unable to connect to server at '${uri}': Connection refused`),
  sameHost: (uuid: string) => new FakeError(1, from.qemu, `internal error: Attempt to migrate guest to the same host ${uuid}`),
  noSuchDisk: (disk: string) => new FakeError(8, from.qemu, `invalid argument: disk ${disk} not found`),
  statsOnSourceOnly: () => new FakeError(84, from.qemu, 'Operation not supported: migration statistics are available only on the source host'),
  lostPeer: () => new FakeError(9, from.qemu, 'operation failed: Lost connection to destination host'),
  migrationCanceled: () => new FakeError(78, from.qemu, 'operation aborted: migration out job: canceled by client'),
  migrationFailed: (words: string) => new FakeError(9, from.qemu, `operation failed: job 'migration out' failed: ${words}`),
};
