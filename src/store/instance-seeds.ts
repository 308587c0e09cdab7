// What an instance's guest is told at its first boot. In a table of its own, so that lists of instances stay narrow.
import type { Db } from './db.ts';

export interface InstanceSeed {
  /** one OpenSSH public key a line; empty: none */
  readonly sshKey: string;
  /** cloud-init user data as typed; empty: none */
  readonly userData: string;
}

export async function insertInstanceSeed(tx: Db, instanceId: string, seed: InstanceSeed): Promise<void> {
  await tx.execute('INSERT INTO instance_seeds (instance_id, ssh_key, user_data) VALUES (?, ?, ?)', [instanceId, seed.sshKey, Buffer.from(seed.userData, 'utf8')]);
}

export async function selectOptionalInstanceSeed(db: Db, instanceId: string): Promise<InstanceSeed | undefined> {
  const [row] = await db.query<{ ssh_key: string; user_data: Buffer }>('SELECT ssh_key, user_data FROM instance_seeds WHERE instance_id = ?', [instanceId]);
  return row && { sshKey: row.ssh_key, userData: row.user_data.toString('utf8') };
}

export async function deleteInstanceSeed(tx: Db, instanceId: string): Promise<void> {
  await tx.execute('DELETE FROM instance_seeds WHERE instance_id = ?', [instanceId]);
}
