// What operations are given. Web passes it on without looking inside: web never imports libvirt.
import type { Clock } from '../clock.ts';
import type { Fleet, OpenHypervisor } from '../libvirt/hypervisor.ts';
import type { Log } from '../log.ts';
import type { Database } from '../store/db.ts';

export interface OperationDeps {
  readonly db: Database;
  /** the open connections to our hosts, by host id */
  readonly hosts: Fleet;
  /** a connection of one's own, for looking at a host that is not managed yet; closed by who opened it */
  readonly openHost: OpenHypervisor;
  readonly clock: Clock;
  readonly log: Log;
  /** tells this process's runner that there is work now; other portals find it by polling */
  wake(): void;
}
