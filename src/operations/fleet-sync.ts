// The open connections follow the table of hosts: at once in the portal where an admin changed it, within a tick in others.
import { selectHosts } from '../store/hosts.ts';
import type { OperationDeps } from './deps.ts';

/** Opens what is new, closes what is gone. A host whose URI cannot be spoken is logged and keeps no other from its connection. */
export async function syncFleet({ db, hosts, log }: Pick<OperationDeps, 'db' | 'hosts' | 'log'>): Promise<void> {
  const rows = await selectHosts(db);
  try {
    hosts.sync(rows);
  } catch (error) {
    log.error({ err: error }, 'some hosts cannot be connected to');
  }
}
