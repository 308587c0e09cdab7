// Burn-ins on fake hosts: the whole way, what is left out, each thing that can be wrong with what to do about it, cancelled and
// killed at every step; nothing is ever left over.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../src/errors.ts';
import type { BurnIn } from '../../src/model/burn-in.ts';
import type { Operation } from '../../src/model/operation.ts';
import { cancelOperation } from '../../src/operations/cancel-operation.ts';
import { hostBurnIn } from '../../src/operations/host-burn-in.ts';
import { submitBurnIn } from '../../src/operations/host-burn-in-submit.ts';
import { reconcileHost, reconcileVolumes } from '../../src/operations/reconcile.ts';
import { selectBurnInsByHost, selectOptionalBurnIn } from '../../src/store/burn-ins.ts';
import { selectDiscrepancies } from '../../src/store/discrepancies.ts';
import { selectHostEvents } from '../../src/store/host-events.ts';
import { selectHost, updateHost } from '../../src/store/hosts.ts';
import { selectOperation } from '../../src/store/operations.ts';
import { createCloud, type Cloud } from '../helpers/cloud.ts';
import { FakeDirectory } from '../helpers/fake-libvirtd/storage.ts';
import { killProcess } from '../helpers/kill-process.ts';
import { forkDoomedPortal, type Doom, type KillPoint } from './doomed-portal-process.ts';

interface VncServer { readonly port: number; readonly close: () => void }

/** What QEMU's VNC servers say first, or whatever the test wants said, at several ports in a row: machines that arrive take the next one. */
async function startVnc(greet = 'RFB 003.008\n', types: readonly number[] = [2]): Promise<VncServer> {
  const listen = async (port: number): Promise<Server> => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(greet);
      socket.once('data', () => socket.write(Buffer.from([types.length, ...types])));
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return server;
  };
  const first = await listen(0);
  const servers = [first];
  const { port } = first.address() as AddressInfo;
  const close = (): void => servers.forEach((server) => server.close());
  try {
    for (let next = port + 1; next < port + 8; next++) servers.push(await listen(next));
    return { port, close };
  } catch {
    // somebody has one of them
    close();
    return startVnc(greet, types);
  }
}

interface Site extends Cloud { readonly vnc: readonly VncServer[]; burnIn(): Promise<Operation>; ended1(operation: Operation): Promise<BurnIn> }
interface SiteOptions { readonly hosts?: number; readonly sharedPool?: boolean; readonly guest?: 'lives' | 'reads nothing' | 'silent' | 'unanswered' | 'without address'; readonly vnc?: VncServer }

async function createSite({ hosts = 2, sharedPool = true, guest = 'lives', vnc }: SiteOptions = {}): Promise<Site> {
  const servers = await Promise.all(Array.from({ length: hosts }, async () => vnc ?? startVnc()));
  const directory = new FakeDirectory('/srv/default');
  const cloud = await createCloud({
    fakes: servers.map(({ port }) => ({ listen: { tcpPort: 0 }, vncBasePort: port, migrationMs: 60, pools: [sharedPool ? { name: 'default', directory } : { name: 'default' }] })),
  });
  // both are on this machine, where nobody would take a loopback address for one that other hosts reach
  for (const [index, id] of cloud.hostIds.entries()) await updateHost(cloud.db, id, { migrationUri: cloud.fakes[index]?.uri ?? '' });
  for (const { host } of cloud.fakes) {
    const define = host.define.bind(host);
    host.define = (xml) => {
      const domain = define(xml);
      domain.load.diskReadBytes = guest === 'reads nothing' ? 0 : 100_000_000;
      domain.load.netSentBytes = guest === 'silent' ? 0 : 100_000;
      domain.load.netReceivedBytes = guest === 'unanswered' || guest === 'silent' ? 0 : 100_000;
      const mac = domain.live.interfaces[0]?.mac ?? '';
      if (guest === 'lives') for (const fake of cloud.fakes) fake.host.network('default').leases.push({ mac, address: '192.0.2.77', hostname: null });
      return domain;
    };
  }
  return {
    ...cloud, vnc: servers,
    burnIn: async () => submitBurnIn(cloud.deps, await selectHost(cloud.db, cloud.hostIds[0] ?? ''), { imageId: null, actor: cloud.user }),
    async ended1(operation) {
      await cloud.ended(operation.id);
      return (await selectOptionalBurnIn(cloud.db, operation.id)) ?? assert.fail();
    },
    async close() {
      await cloud.close();
      for (const server of servers) server.close();
    },
  };
}

const states = ({ steps }: BurnIn): string => steps.map((step) => `${step.name} ${step.state}`).join(', ');

describe('a burn-in', () => {
  const sites: Site[] = [];
  const site = async (options?: SiteOptions): Promise<Site> => {
    const made = await createSite(options);
    sites.push(made);
    return made;
  };
  after(() => Promise.all(sites.map((each) => each.close())));

  test('goes the whole way, keeps its times, tells the history, and leaves nothing', async () => {
    const cloud = await site();
    cloud.startRunner();
    const burnIn = await cloud.ended1(await cloud.burnIn());
    assert.deepEqual([burnIn.state, burnIn.error], ['passed', null]);
    assert.equal(burnIn.targetName, 'host1');
    assert.ok(burnIn.steps.every((step) => step.state === 'done' && step.elapsedMs !== null && step.elapsedMs >= 0), states(burnIn));
    const seen = Object.fromEntries(burnIn.steps.map((step) => [step.name, step.note?.key]));
    assert.deepEqual([seen['console'], seen['network'], seen['move-away'], seen['move-back']], ['burn-in.seen.console', 'burn-in.seen.address', 'burn-in.seen.moved-pause', 'burn-in.seen.moved-pause']);
    assert.deepEqual(cloud.fakes.map((fake) => fake.called('DOMAIN_MIGRATE_PERFORM3_PARAMS')), [1, 1]);
    assert.deepEqual((await selectHostEvents(cloud.db, cloud.hostIds[0] ?? '')).filter(({ kind }) => kind === 'burn-in').map(({ sentence }) => sentence.key), ['burn-in.event.passed']);
    await cloud.checkBooks();
    // repeatable
    assert.equal((await cloud.ended1(await cloud.burnIn())).state, 'passed');
    assert.equal((await selectBurnInsByHost(cloud.db, cloud.hostIds[0] ?? '')).length, 2);
    await cloud.checkBooks();
  });

  test('holds its room meanwhile, is no stranger to reconciliation, and one at a time', async () => {
    const cloud = await site({ guest: 'reads nothing' });
    const runner = cloud.startRunner();
    const operation = await cloud.burnIn();
    for (const deadline = Date.now() + 60_000; !(cloud.fake.domains.get(operation.id)?.isActive ?? false); await delay(20)) assert.ok(Date.now() < deadline);
    assert.deepEqual((await Promise.all(cloud.hostIds.map((id) => selectHost(cloud.db, id)))).map((host) => [host.usedVcpus, host.usedMemoryMib]), [[1, 64], [1, 64]]);
    const host = await selectHost(cloud.db, cloud.hostIds[0] ?? '');
    await reconcileHost(cloud.deps, host);
    await reconcileVolumes(cloud.deps, host);
    assert.deepEqual(await selectDiscrepancies(cloud.db), []);
    await assert.rejects(cloud.burnIn(), (error: unknown) => error instanceof AppError && error.sentence.key === 'burn-in.refused.running');
    await cancelOperation(cloud.deps, await selectOperation(cloud.db, operation.id), hostBurnIn);
    assert.equal((await cloud.ended1(operation)).state, 'cancelled');
    await runner.stop();
    await cloud.checkBooks();
  });

  test('leaves out the move where there is nothing to move it to, and says why', async () => {
    const alone = await site({ hosts: 1 });
    alone.startRunner();
    const first = await alone.ended1(await alone.burnIn());
    assert.deepEqual([first.state, first.targetName], ['passed', null]);
    assert.deepEqual(first.steps.filter((step) => step.state === 'left-out').map((step) => [step.name, step.note?.key]), [['move-away', 'burn-in.left-out.alone'], ['move-back', 'burn-in.left-out.alone']]);
    const closed = await site();
    await updateHost(closed.db, closed.hostIds[1] ?? '', { wish: 'maintenance' });
    // the host itself may be closed: it is burned in before users come
    await updateHost(closed.db, closed.hostIds[0] ?? '', { wish: 'disabled' });
    closed.startRunner();
    const second = await closed.ended1(await closed.burnIn());
    assert.deepEqual([second.state, second.steps.find((step) => step.name === 'move-away')?.note?.key], ['passed', 'burn-in.left-out.not-up']);
    await Promise.all([alone, closed].map((cloud) => cloud.checkBooks()));
  });

  test('an address is not everything: packets both ways will do, after a while', async () => {
    const cloud = await site({ guest: 'without address' });
    cloud.startRunner();
    const operation = await cloud.burnIn();
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; await delay(50)) {
      const { burnIn } = JSON.parse(String((await cloud.db.query<{ context: Buffer }>('SELECT context FROM operations WHERE id = ?', [operation.id]))[0]?.context)) as { burnIn?: { deadlines?: { network?: number } } };
      if (burnIn?.deadlines?.network !== undefined) break;
    }
    cloud.time.ahead += 70_000;
    const burnIn = await cloud.ended1(operation);
    assert.deepEqual([burnIn.state, burnIn.steps.find((step) => step.name === 'network')?.note?.key], ['passed', 'burn-in.seen.packets']);
    await cloud.checkBooks();
  });
});

describe('a burn-in that fails names the fault and what to do about it', () => {
  async function failing(options: SiteOptions, prepare: (cloud: Site) => void | Promise<void> = () => undefined, aheadMs = 0): Promise<[string, string | undefined, string | undefined]> {
    const cloud = await createSite(options);
    try {
      await prepare(cloud);
      cloud.startRunner();
      const operation = await cloud.burnIn();
      if (aheadMs > 0) {
        for (const deadline = Date.now() + 60_000; !(cloud.fake.domains.get(operation.id)?.isActive ?? false); await delay(20)) assert.ok(Date.now() < deadline);
        // past the step in question's deadline, whichever it has reached
        const push = setInterval(() => { cloud.time.ahead += aheadMs; }, 300);
        await cloud.ended(operation.id).finally(() => clearInterval(push));
      }
      const burnIn = await cloud.ended1(operation);
      assert.equal(burnIn.state, 'failed');
      await cloud.checkBooks();
      return [burnIn.steps.find((step) => step.state === 'failed')?.name ?? states(burnIn), burnIn.error?.key, burnIn.fix?.key];
    } finally {
      await cloud.close();
    }
  }

  test('storage and network', async () => {
    assert.deepEqual(await failing({}, ({ fake }) => { fake.host.pool('default').active = false; }), ['place', 'burn-in.problem.pool', 'burn-in.fix.pool']);
    assert.deepEqual(await failing({}, ({ fake }) => { fake.host.network('default').active = false; }), ['place', 'burn-in.problem.network-inactive', 'burn-in.fix.network-inactive']);
    assert.deepEqual(await failing({}, ({ fake }) => { fake.host.pool('default').directory.files.clear(); }), ['create-volume', 'operations.failed.image-gone', 'burn-in.fix-step.create-volume']);
  });

  test('a bridge that is not there, and a guest that dies', async () => {
    assert.deepEqual(
      await failing({}, ({ fake }) => void fake.fail('DOMAIN_CREATE_WITH_FLAGS', { code: 38, message: "Cannot get interface MTU on 'br0': No such device" })),
      ['start', 'hypervisor.failed', 'burn-in.fix-step.start'],
    );
    assert.deepEqual(await failing({ guest: 'reads nothing' }, ({ fake }) => {
      const timer = setInterval(() => {
        for (const domain of fake.domains.values()) if (domain.isActive) { fake.host.crash(domain.uuid); clearInterval(timer); }
      }, 100);
    }), ['boot', 'burn-in.problem.died', 'burn-in.fix.died']);
  });

  test('a guest that does not boot, says nothing, or is not answered', async () => {
    assert.deepEqual(await failing({ guest: 'reads nothing' }, undefined, 20_000), ['boot', 'burn-in.problem.not-booting', 'burn-in.fix.not-booting']);
    assert.deepEqual(await failing({ guest: 'silent' }, undefined, 20_000), ['network', 'burn-in.problem.network-silent', 'burn-in.fix.network-silent']);
    assert.deepEqual(await failing({ guest: 'unanswered' }, undefined, 20_000), ['network', 'burn-in.problem.network-unanswered', 'burn-in.fix.network-unanswered']);
  });

  test('a console that is closed, is something else, or is open to all', async () => {
    // a port that no program is given by chance
    const gone: VncServer = { port: 1, close: () => undefined };
    assert.deepEqual(await failing({ vnc: gone }), ['console', 'burn-in.problem.console-unreachable', 'burn-in.fix.console-unreachable']);
    assert.deepEqual(await failing({ vnc: await startVnc('HTTP/1.1 400 Bad Request\r\n') }), ['console', 'burn-in.problem.console-not-vnc', 'burn-in.fix.console-not-vnc']);
    assert.deepEqual(await failing({ vnc: await startVnc(undefined, [1]) }), ['console', 'burn-in.problem.console-open', 'burn-in.fix.console-open']);
  });

  test('a move that is refused, there or back', async () => {
    const refusal = { code: 38, message: "unable to connect to server at 'kvm2:16514': Connection refused" };
    const [step, error, fix] = await failing({}, ({ fake }) => void fake.fail('DOMAIN_MIGRATE_PERFORM3_PARAMS', refusal));
    assert.deepEqual([step, error, fix], ['move-away', 'migration.failed.unreachable', 'burn-in.fix-step.move-away']);
    const back = await failing({}, ({ fakes }) => void fakes[1]?.fail('DOMAIN_MIGRATE_PERFORM3_PARAMS', refusal));
    assert.deepEqual([back[0], back[2]], ['move-back', 'burn-in.fix-step.move-back']);
  });
});

describe('a burn-in whose portal is killed', () => {
  type Point = Omit<KillPoint, 'operationId'>;

  /** A burn-in on each host, all in one portal, which is killed when each stands at its point; another takes them up. */
  async function killAt(points: readonly Point[], vnc?: VncServer): Promise<BurnIn[]> {
    const cloud = await createSite({ hosts: points.length, ...(vnc === undefined ? {} : { vnc }) });
    try {
      const operations = await Promise.all(cloud.hostIds.map(async (id) => submitBurnIn(cloud.deps, await selectHost(cloud.db, id), { imageId: null, actor: null })));
      await runAndKill(cloud, operations.map(({ id }, index) => ({ ...(points[index] ?? assert.fail()), operationId: id })));
      cloud.time.ahead += 16_000;
      cloud.startRunner();
      const burnIns = await Promise.all(operations.map((operation) => cloud.ended1(operation)));
      await cloud.checkBooks();
      return burnIns;
    } finally {
      await cloud.close();
    }
  }

  async function runAndKill(cloud: Site, points: readonly KillPoint[]): Promise<void> {
    const child = forkDoomedPortal();
    const reached = new Set<unknown>();
    child.on('message', (id) => reached.add(id));
    const doom: Doom = { databaseUrl: cloud.url, hosts: cloud.hostIds.map((id, index) => ({ id, uri: cloud.fakes[index]?.uri ?? '' })), points };
    child.send(doom);
    for (const deadline = Date.now() + 60_000; reached.size < points.length && Date.now() < deadline;) await delay(20);
    await killProcess(child);
    assert.equal(reached.size, points.length);
  }

  test('at every step: the next one finishes it, and nothing is left', async () => {
    const points = hostBurnIn.steps.flatMap(({ name }) => (['before', 'after'] as const).map((when): Point => ({ step: name, when, direction: 'run' })));
    const burnIns = await killAt(points);
    assert.deepEqual(burnIns.map(({ state, error }, index) => [points[index], state, error]), points.map((point) => [point, 'passed', null]));
  });

  test('while it is undone: the next one goes on undoing, and nothing is left', async () => {
    const undone = hostBurnIn.steps.filter((step) => 'undo' in step && step.undo !== undefined);
    const points = undone.flatMap(({ name }) => (['before', 'after'] as const).map((when): Point => ({ step: name, when, direction: 'undo' })));
    const burnIns = await killAt(points, await startVnc(undefined, [1]));
    assert.deepEqual(burnIns.map(({ state, error }) => [state, error?.key]), points.map(() => ['failed', 'burn-in.problem.console-open']));
  });
});
