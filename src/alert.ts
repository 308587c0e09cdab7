// What the portal itself reports to the admins, also when none of them looks at it: a host that is lost without proof, machines
// that fit nowhere. It becomes an incident like any other and is told at once; when that cannot be done now, the job goes on.
import { randomUUID } from 'node:crypto';
import type { Sentence } from './errors.ts';
import { deliverDue, type NotifyDeps } from './notify/deliver.ts';
import { tellMessage } from './operations/incidents.ts';

/**
 * The returned function neither throws nor waits: whoever alerts has something more urgent to go on with. What must outlive this
 * portal is recorded (recordMessage) with what it reports, before; here it is then only told.
 */
export function createAlert(deps: NotifyDeps): (sentence: Sentence) => void {
  const ownerId = randomUUID();
  return (sentence) => {
    deps.log.warn({ alert: sentence.key, ...sentence.params }, 'admins are told');
    record(deps, sentence, ownerId).catch((error: unknown) => deps.log.error({ err: error, alert: sentence.key }, 'admins could not be told'));
  };
}

async function record(deps: NotifyDeps, sentence: Sentence, ownerId: string): Promise<void> {
  await tellMessage({ db: deps.db, mailEnabled: deps.mailer.enabled }, sentence, deps.clock.now());
  await deliverDue(deps, ownerId);
}
