// The NoCloud seed: what cloud-init reads at an instance's first boot
// (https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html).
import type { Instance } from '../model/instance.ts';
import type { InstanceSeed } from '../store/instance-seeds.ts';
import { buildIso9660 } from './iso9660.ts';

/** The same bytes for the same instance, so that writing it again changes nothing. */
export function buildSeedImage(instance: Pick<Instance, 'id' | 'name' | 'createdAt'>, seed: InstanceSeed): Buffer {
  const keys = seed.sshKey.split('\n').map((line) => line.trim()).filter((line) => line !== '');
  // JSON is YAML: names and keys need no quoting of ours
  const metaData = JSON.stringify({ 'instance-id': instance.id, 'local-hostname': instance.name, ...(keys.length > 0 ? { 'public-keys': keys } : {}) });
  const userData = seed.userData.trim() === '' ? '#cloud-config\n{}\n' : seed.userData;
  return buildIso9660('cidata', [
    { name: 'meta-data', contents: Buffer.from(`${metaData}\n`, 'utf8') },
    { name: 'user-data', contents: Buffer.from(userData, 'utf8') },
  ], instance.createdAt);
}
