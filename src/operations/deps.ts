// What operations are given. Web passes it on without looking inside: web never imports libvirt.
import type { Clock } from '../clock.ts';
import type { Sentence } from '../errors.ts';
import type { Fencing } from '../fencing/fencing.ts';
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
  /** switches hosts off and on by their fence agents */
  readonly fencing: Fencing;
  /** Tells the admins, by mail where there is a server for it. Returns at once and never throws. */
  alert(sentence: Sentence): void;
  /** tells this process's runner that there is work now; other portals find it by polling */
  wake(): void;
}
