// A domain as simple as one can be, for fakes that start full.
import { randomUUID } from 'node:crypto';

export function plainDomainXml(name: string, options: { uuid?: string; vcpus?: number; memoryMib?: number; disks?: number; interfaces?: number } = {}): string {
  const { uuid = randomUUID(), vcpus = 1, memoryMib = 512, disks = 1, interfaces = 1 } = options;
  const each = (count: number, make: (i: number) => string) => Array.from({ length: count }, (_, i) => make(i)).join('');
  return `<domain type='qemu'><name>${name}</name><uuid>${uuid}</uuid><memory unit='MiB'>${memoryMib}</memory><vcpu>${vcpus}</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
${each(disks, (i) => `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/var/lib/images/${name}-${i}.qcow2'/><target dev='vd${'abcdefgh'[i] ?? 'z'}' bus='virtio'/></disk>`)}
${each(interfaces, (i) => `<interface type='bridge'><mac address='52:54:00:00:00:0${i}'/><source bridge='br0'/><model type='virtio'/></interface>`)}
<graphics type='vnc' port='-1' autoport='yes' passwd='secret00' passwdValidTo='1970-01-01T00:00:01'><listen type='address' address='0.0.0.0'/></graphics>
</devices></domain>`;
}
