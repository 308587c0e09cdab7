// Hosts of a lab, real in every part: each fault that can be provoked there is named by the check, and a burn-in goes the
// whole way over TLS: made, booted, looked at, moved away and back, removed.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { checkHost, type CheckOptions } from '../../src/operations/host-check.ts';
import { submitBurnIn } from '../../src/operations/host-burn-in-submit.ts';
import { selectOptionalBurnIn } from '../../src/store/burn-ins.ts';
import { selectHost } from '../../src/store/hosts.ts';
import { updateImage } from '../../src/store/images.ts';
import { createLabCloud, type LabCloud } from '../helpers/lab-cloud.ts';
import { startLab, type Lab } from '../helpers/lab.ts';
import { whyNoLibvirtd } from '../helpers/private-libvirtd.ts';

const run = promisify(execFile);
const makeCertificates = fileURLToPath(new URL('../../scripts/make-certificates', import.meta.url));

describe('hosts of a lab', { skip: whyNoLibvirtd() }, () => {
  let lab: Lab;
  let cloud: LabCloud;
  let strangers: string;

  before(async () => {
    lab = await startLab({ hosts: 2, ttlSeconds: 600 });
    cloud = await createLabCloud(lab);
    strangers = await mkdtemp(join(tmpdir(), 'strangers-'));
  });
  after(async () => {
    await cloud?.close();
    await lab?.stop();
    await rm(strangers, { recursive: true, force: true });
  });

  const host = (number: number) => lab.host(number);
  const hostId = (number: number): string => cloud.hostIds[number - 1] ?? '';
  async function kindOf(uri: string, options: CheckOptions = {}): Promise<string> {
    const check = await checkHost(cloud.deps, uri, { timeoutMs: 8000, ...options });
    return check.ok ? 'ok' : check.problem.kind;
  }
  async function warningsOf(number: number, options: CheckOptions = {}): Promise<string[]> {
    const check = await checkHost(cloud.deps, host(number).uri, { hostId: hostId(number), ...options });
    assert.ok(check.ok, check.ok ? '' : JSON.stringify(check.problem));
    return check.report.warnings.map(({ kind }) => kind).filter((kind) => kind !== 'no-kvm');
  }

  it('in order: nothing to say, the clock is measured, the shared pool is seen from both, the local one is not', async () => {
    const check = await checkHost(cloud.deps, host(1).uri, { hostId: hostId(1) });
    assert.ok(check.ok);
    assert.deepEqual(await warningsOf(1), []);
    assert.ok(check.report.clock !== null && Math.abs(check.report.clock.aheadMs) < 1000, JSON.stringify(check.report.clock));
    assert.deepEqual(check.report.certificates.map(({ of }) => of), ['host', 'portal', 'authority']);
    assert.ok(check.report.certificates.every(({ notAfter }) => notAfter > Date.now() + 365 * 86_400_000), JSON.stringify(check.report.certificates));
    const sameFiles = Object.fromEntries(check.report.pools.map((pool) => [pool.name, pool.others.map((peer) => peer.sameFiles)]));
    assert.deepEqual(sameFiles, { [lab.sharedPool]: [true], [lab.localPool]: [false] });
    assert.deepEqual(check.report.networks.map(({ name, mode, bridge, bridgeMissing }) => [name, mode, bridge, bridgeMissing]), [[lab.network, 'bridge', 'br0', false]]);
    assert.deepEqual(check.report.cpus, [{ hostName: host(2).name, to: true, from: true, virtTypesDiffer: false }]);
    const left = (await cloud.deps.hosts.host(hostId(1)).storageVolume.listAll(lab.sharedPool)).filter(({ name }) => name.startsWith('chpc-check-'));
    assert.deepEqual(left, [], 'no marker is left');
  });

  it('certificates: of another authority, of another name, of one who is not let in', async () => {
    await run(makeCertificates, [join(strangers, 'pki'), 'kvm9']);
    const { address } = host(2);
    assert.equal(await kindOf(`qemu+tls://${address}/system?pkipath=${strangers}/pki/portal`), 'certificate-untrusted');
    const another = address.replace(/\d+$/, '199');
    await lab.exec(2, 'ip', 'address', 'add', `${another}/24`, 'dev', 'br0');
    assert.equal(await kindOf(`qemu+tls://${another}/system?pkipath=${lab.pki}`), 'certificate-name');
    await lab.exec(2, 'ip', 'address', 'del', `${another}/24`, 'dev', 'br0');
    // our certificate, but of an authority that the host does not know
    const ours = join(strangers, 'ours');
    await cp(join(strangers, 'pki/portal'), ours, { recursive: true });
    await copyFile(join(lab.pki ?? '', 'cacert.pem'), join(ours, 'cacert.pem'));
    assert.equal(await kindOf(`qemu+tls://${address}/system?pkipath=${ours}`), 'certificate-refused');
  });

  it('one who is not in tls_allowed_dn_list', async () => {
    // a second daemon, of an ordinary user, beside the one that the lab needs
    const configuration = [
      'listen_tls = 1', 'listen_tcp = 0', 'tls_port = "16515"', 'ca_file = "/run/second/pki/CA/cacert.pem"', 'cert_file = "/run/second/pki/libvirt/servercert.pem"',
      'key_file = "/run/second/pki/libvirt/private/serverkey.pem"', 'tls_allowed_dn_list = ["CN=somebody-else"]',
    ];
    await lab.exec(2, 'sh', '-c', `mkdir /run/second && cp -r /etc/pki /run/second/pki && printf '%s\\n' ${configuration.map((line) => `'${line}'`).join(' ')} > /run/second/conf && chown -R libvirt-qemu /run/second
      export HOME=/run/second XDG_RUNTIME_DIR=/run/second XDG_CONFIG_HOME=/run/second XDG_CACHE_HOME=/run/second
      setpriv --reuid=libvirt-qemu --regid=libvirt-qemu --clear-groups libvirtd -d -f /run/second/conf --listen -p /run/second/pid 2> /run/second/log`);
    try {
      let kind = '';
      for (const deadline = Date.now() + 15_000; Date.now() < deadline && kind !== 'certificate-refused'; await delay(200)) kind = await kindOf(host(2).uri.replace('/system', ':16515/system'));
      assert.equal(kind, 'certificate-refused');
    } finally {
      await lab.exec(2, 'sh', '-c', 'kill "$(cat /run/second/pid)"');
    }
  });

  it('a pool that is stopped, a network without its bridge', async () => {
    const { storagePool, network } = cloud.deps.hosts.host(hostId(2));
    await storagePool.destroy(lab.localPool);
    const stopped = await checkHost(cloud.deps, host(2).uri, { hostId: hostId(2) });
    assert.ok(stopped.ok);
    assert.equal(stopped.report.pools.find(({ name }) => name === lab.localPool)?.active, false);
    await storagePool.create(lab.localPool);
    await network.defineXML("<network><name>office</name><forward mode='bridge'/><bridge name='br9'/></network>");
    await network.create('office');
    assert.deepEqual(await warningsOf(2, { choices: { network: 'office', pools: [] } }), ['bridge-missing', 'network-differs']);
    await network.destroy('office');
    await network.undefine('office');
  });

  it('a shared pool that is not mounted any more', async () => {
    await lab.exec(2, 'mount', '-t', 'tmpfs', 'none', lab.sharedPoolPath);
    const check = await checkHost(cloud.deps, host(2).uri, { hostId: hostId(2) });
    assert.ok(check.ok);
    assert.equal(check.report.pools.find(({ name }) => name === lab.sharedPool)?.others[0]?.sameFiles, false);
    await lab.exec(2, 'umount', lab.sharedPoolPath);
    await cloud.deps.hosts.host(hostId(2)).storagePool.refresh(lab.sharedPool);
  });

  it('a burn-in goes the whole way', async (context) => {
    await updateImage(cloud.db, cloud.images.shared.id, { ...cloud.images.shared, minMemoryMib: 96 });
    const runner = cloud.startRunner();
    const operation = await submitBurnIn(cloud.deps, await selectHost(cloud.db, hostId(1)), { imageId: cloud.images.shared.id, actor: null });
    await cloud.ended(operation.id, 240_000);
    await runner.stop();
    const burnIn = await selectOptionalBurnIn(cloud.db, operation.id);
    assert.deepEqual([burnIn?.state, burnIn?.error], ['passed', null]);
    const times = burnIn?.steps.map(({ name, state, elapsedMs, note }) => `${name} ${state} ${elapsedMs} ms ${note?.key ?? ''} ${JSON.stringify(note?.params ?? {})}`);
    for (const line of times ?? []) context.diagnostic(line);
    assert.ok(burnIn?.steps.every(({ state }) => state === 'done'), times?.join('\n'));
    assert.equal(burnIn?.steps.find(({ name }) => name === 'network')?.note?.key, 'burn-in.seen.address');
    assert.deepEqual(await cloud.processesOf(operation.id), []);
    for (const id of cloud.hostIds) assert.equal(await cloud.deps.hosts.host(id).domain.lookupByUUID(operation.id), undefined);
    const { storagePool, storageVolume } = cloud.deps.hosts.host(hostId(1));
    await storagePool.refresh(lab.sharedPool);
    assert.deepEqual((await storageVolume.listAll(lab.sharedPool)).filter(({ name }) => name.includes(operation.id)), []);
    assert.deepEqual((await Promise.all(cloud.hostIds.map((id) => selectHost(cloud.db, id)))).map(({ usedVcpus, usedMemoryMib }) => [usedVcpus, usedMemoryMib]), [[0, 0], [0, 0]]);
  });

  it('one that hangs, one that is cut off, one that is off', async () => {
    await lab.freeze(2);
    assert.equal(await kindOf(host(2).uri, { timeoutMs: 3000 }), 'hung');
    await lab.thaw(2);
    await lab.cut(2);
    assert.ok(['hung', 'unreachable'].includes(await kindOf(host(2).uri)));
    await lab.join(2);
    await lab.kill(2);
    assert.ok(['hung', 'unreachable'].includes(await kindOf(host(2).uri)));
    // and the other one is looked at all the same
    assert.deepEqual(await warningsOf(1), []);
  });
});
