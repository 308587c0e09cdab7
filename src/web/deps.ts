// What the pages and the API are given, by hand.
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import type { Mailer } from '../mail.ts';
import type { OperationDeps } from '../operations/deps.ts';
import type { Database } from '../store/db.ts';

export interface WebDeps {
  readonly config: Config;
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly operations: OperationDeps;
  readonly mailer: Mailer;
  /** milliseconds before a wrong password is answered, where it is not the usual: tests do not wait */
  readonly refusalMs?: number;
  /** the process ends soon: no new visitors, please */
  readonly isStopping?: () => boolean;
}
