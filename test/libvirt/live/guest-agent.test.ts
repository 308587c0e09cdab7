// A real guest whose owner put a program of his own in the agent's place: what the real libvirtd does with it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { buildDomainXml } from '../../../src/libvirt/domain-xml.ts';
import { errorCode, LibvirtError } from '../../../src/libvirt/errors.ts';
import type { Hypervisor } from '../../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../../src/libvirt/open-hypervisor.ts';
import { demoImage } from '../../helpers/lab-cloud.ts';
import { startPrivateLibvirtd, whyNoLibvirtd, type PrivateLibvirtd } from '../../helpers/private-libvirtd.ts';

/** Answers guest-sync, as each of the host's commands begins with, and nothing else. Nobody reads at first, hence the outer loop. */
const silentAgent = String.raw`cat > /tmp/agent <<'END'
port=/dev/$(basename $(dirname $(grep -l guest_agent /sys/class/virtio-ports/*/name)))
exec 3<>$port
while sleep 1; do
  while read -r line <&3; do
    id=$(echo "$line" | sed -n 's/.*"guest-sync".*"id": *\([0-9]*\).*/\1/p')
    [ -n "$id" ] && echo "{\"return\": $id}" >&3
  done
done
END
sh /tmp/agent & echo "agent in" place
`;
const image = await demoImage();
const unresponsive = (error: unknown): boolean => error instanceof LibvirtError && error.code === errorCode.agentUnresponsive;

describe('a silent agent in a real guest', { skip: whyNoLibvirtd() || (image === undefined || !existsSync(image) ? 'the demo image was not built' : false) }, () => {
  let libvirtd: PrivateLibvirtd;
  let host: Hypervisor;
  const uuid = randomUUID();

  before(async () => {
    libvirtd = await startPrivateLibvirtd();
    host = openHypervisor(libvirtd.uri);
    await copyFile(image ?? '', `${libvirtd.poolPath}/demo.qcow2`);
    await host.domain.defineXML(buildDomainXml({
      uuid, name: 'silent', virtType: 'qemu', arch: 'x86_64', vcpus: 1, memoryMib: 96,
      disks: [{ device: 'disk', path: `${libvirtd.poolPath}/demo.qcow2`, format: 'qcow2', target: 'vda', bus: 'virtio' }],
      vnc: { listen: '127.0.0.1' }, serialLogPath: `${libvirtd.poolPath}/silent.log`, instance: { id: 'i-1', owner: 'ann' },
    }));
    await host.domain.create(uuid);
  });
  after(async () => {
    await host?.close();
    await libvirtd?.stop();
  });

  async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 120_000): Promise<void> {
    for (const deadline = Date.now() + timeoutMs; !(await condition()); await delay(100)) assert.ok(Date.now() < deadline, `not within ${timeoutMs} ms: ${what}`);
  }
  const hasPrinted = async (words: RegExp): Promise<boolean> => words.test(await readFile(`${libvirtd.poolPath}/silent.log`, 'utf8').catch(() => ''));

  it('is refused at once while it is not there', async () => {
    await host.domain.agentSetResponseTimeout(uuid, 1);
    await assert.rejects(host.domain.getInterfaceAddresses(uuid, 'agent', { timeoutMs: 2000 }), unresponsive);
  });

  it('is waited for as long as libvirt was told, and holds up nothing else', async () => {
    await until('a shell', () => hasPrinted(/root@\S+#/));
    const console = await host.domain.openConsole(uuid, null);
    console.resume();
    console.write(silentAgent);
    await until('the agent', () => hasPrinted(/agent in place/), 30_000);
    await until('libvirt sees it', async () => /org\.qemu\.guest_agent\.0' state='connected'/.test(await host.domain.getXMLDesc(uuid)), 30_000);
    console.end();
    await once(console, 'close');

    await host.domain.agentSetResponseTimeout(uuid, 2);
    const began = performance.now();
    let isAnswered = false;
    const asking = assert.rejects(host.domain.getInterfaceAddresses(uuid, 'agent'), unresponsive).finally(() => { isAnswered = true; });
    await delay(200);
    await host.domain.agentSetResponseTimeout(uuid, 2);
    assert.equal((await host.domain.getState(uuid)).state, 'running');
    assert.equal(isAnswered, false, 'other calls go on beside it');
    await asking;
    const elapsed = performance.now() - began;
    assert.ok(elapsed > 1900 && elapsed < 20_000, `${elapsed} ms`);
  });

  it('is not asked to reboot: the power button is pressed', async () => {
    const events = host.events();
    // as long as the agent would be waited for
    await host.domain.agentSetResponseTimeout(uuid, 10);
    const began = performance.now();
    await host.domain.reboot(uuid);
    assert.ok(performance.now() - began < 9000);
    for await (const event of events) if (event.type === 'reboot') break;
    assert.equal((await host.domain.getState(uuid)).state, 'running');
  });
});
