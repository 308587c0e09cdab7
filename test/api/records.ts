// A portal without any hypervisor, and one of everything in its database: for tests of who may ask what.
import { messageRuleId } from '../../src/model/alert-rule.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { User } from '../../src/model/user.ts';
import type { OperationDeps } from '../../src/operations/deps.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { insertFlavour } from '../../src/store/flavours.ts';
import { insertHost, updateHostContact, updateHostFacts } from '../../src/store/hosts.ts';
import { insertIncidents } from '../../src/store/incidents.ts';
import { insertMove } from '../../src/store/moves.ts';
import { claimHostRecovery } from '../../src/store/recoveries.ts';
import { insertSuggestion } from '../../src/store/suggestions.ts';
import { emptyReport } from '../../src/model/recovery.ts';
import { say } from '../../src/errors.ts';
import { insertImage, selectImage } from '../../src/store/images.ts';
import { upsertPool } from '../../src/store/storage-pools.ts';
import { makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { startTestPortal, type TestPortal, type TestPortalOptions } from '../helpers/portal.ts';
import { CheckedClient } from './checked-client.ts';

const gib = 1024 ** 3;

export interface Records {
  readonly portal: TestPortal;
  readonly api: CheckedClient;
  readonly admin: User;
  readonly user: User;
  readonly other: User;
  readonly hostId: string;
  readonly imageId: string;
  readonly flavourId: string;
  /** of `user`; its creation waits for a runner that does not come */
  readonly instanceId: string;
  readonly operationId: string;
  /** of that instance; waits */
  readonly moveId: string;
  readonly suggestionId: string;
  readonly recoveryId: string;
  readonly incidentId: string;
}

export async function makeRecords(options: TestPortalOptions = {}): Promise<Records> {
  const portal = await startTestPortal({ runner: false, ...options });
  const { db, operations } = portal.deps;
  const hostId = await makeHost(operations);
  const imageId = await makeImage(operations, hostId);
  const flavourId = crypto.randomUUID();
  await insertFlavour(db, { id: flavourId, name: 'flavour of the test', vcpus: 1, memoryMib: 128, diskGib: 1, position: 9, enabled: true });
  const admin = await makeFirstAdmin(db);
  const [user, other] = [await makeUser(db, 'user'), await makeUser(db, 'other')];
  const { instance, operation } = await submitInstanceCreate(operations, {
    user, name: 'mine', image: await selectImage(db, imageId), size: { vcpus: 1, memoryMib: 128, diskGib: 1 }, sshKey: '', userData: '',
  });
  return { portal, api: new CheckedClient(portal), admin, user, other, hostId, imageId, flavourId, instanceId: instance.id, operationId: operation.id, ...(await makeHistory(operations, instance, hostId)) };
}

/** What admins see of moves and failures. */
async function makeHistory({ db, clock }: OperationDeps, instance: Instance, hostId: string): Promise<Pick<Records, 'moveId' | 'suggestionId' | 'recoveryId' | 'incidentId'>> {
  const [moveId, suggestionId, recoveryId, incidentId, toHostId, at] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID(), clock.now()];
  await insertMove(db, {
    id: moveId, instanceId: instance.id, instanceName: instance.name, userId: instance.userId, kind: 'live', withDisk: false, fromHostId: hostId, fromHostName: 'host1',
    toHostId, toHostName: 'host2', fromPoolId: null, toPoolId: null, trigger: 'admin', why: say('moves.why.admin'), batchId: null, actorId: null, createdAt: at,
  });
  await insertSuggestion(db, { id: suggestionId, instanceId: instance.id, fromHostId: hostId, toHostId, why: say('moves.why.admin'), gainPercent: 20, createdAt: at });
  await claimHostRecovery(db, { id: recoveryId, hostId, hostName: 'host1', drill: false, userId: null, forced: false, confirmedBy: null, seenAt: at, noticedAt: at, report: emptyReport });
  await insertIncidents(db, [{ id: incidentId, ruleId: messageRuleId, condition: 'message', subject: { kind: 'host', id: hostId, name: 'host1' }, severity: 'critical', sentence: say('recovery.alert.unfit', { host: 'host1', total: 2 }), openedAt: at }], at);
  return { moveId, suggestionId, recoveryId, incidentId };
}

async function makeHost({ db, clock }: OperationDeps): Promise<string> {
  const id = crypto.randomUUID();
  const now = clock.now();
  await insertHost(db, { id, name: 'host1', uri: 'qemu+unix:///system?socket=/nowhere', consoleAddress: '192.0.2.1', network: 'default', virtTypeWish: 'auto', createdAt: now });
  await updateHostFacts(db, id, { virtType: 'qemu', arch: 'x86_64', cpuModel: 'a CPU', libvirtVersion: '9.0.0', qemuVersion: '7.2.0', hostUuid: crypto.randomUUID(), cpus: 64, memoryMib: 262_144 });
  await updateHostContact(db, id, { state: 'up', at: now });
  return id;
}

async function makeImage({ db, clock }: OperationDeps, hostId: string): Promise<string> {
  const poolId = await upsertPool(db, { hostId, name: 'default', shared: true, kind: 'dir', path: '/pool', capacityBytes: 1000 * gib, availableBytes: 900 * gib }, clock.now());
  const id = crypto.randomUUID();
  await insertImage(db, {
    id, name: 'Demo', description: '', poolId, volume: 'demo.qcow2', format: 'qcow2', virtualSizeBytes: gib, minMemoryMib: 64, cloudInit: true, enabled: true, createdAt: clock.now(),
  });
  return id;
}
