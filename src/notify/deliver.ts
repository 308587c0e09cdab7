// Emptying the outbox: each delivery is leased, sent, and recorded. At least once: a portal that dies between sending and
// recording leaves it to be sent again, under the same id.
import { randomUUID } from 'node:crypto';
import { AppError, say, type Sentence } from '../errors.ts';
import type { Clock } from '../clock.ts';
import type { SecretBox } from '../fencing/secret-box.ts';
import type { Log } from '../log.ts';
import type { Mailer } from '../mail.ts';
import type { AlertRule } from '../model/alert-rule.ts';
import { retryAfterMs, wants, type ToldGroup, type Wish } from '../model/notification.ts';
import { selectAlertRules } from '../store/alert-rules.ts';
import type { Database } from '../store/db.ts';
import {
  claimDelivery, insertNotification, selectDeliveryOutcome, selectDueDeliveries, updateDeliveryFailed, updateDeliverySent, type DueDelivery, type Target,
} from '../store/notifications.ts';
import { selectSettings } from '../store/settings.ts';
import { selectOptionalUser } from '../store/users.ts';
import { selectOptionalWebhookTarget, selectWebhookSecret } from '../store/webhook-targets.ts';
import type { DigestContent } from '../operations/digest.ts';
import type { IncidentsContent } from '../operations/incidents.ts';
import { networkReason, postWebhook } from './webhook.ts';
import { digestLetter, incidentsBody, incidentsLetter, testBody, testLetter, type Frame } from './words.ts';

export interface NotifyDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly mailer: Mailer;
  readonly publicUrl: string;
  readonly webhookSecrets: SecretBox;
}

/** Longer than any attempt takes: mail servers are given 40 s, webhooks 10. */
const leaseMs = 90_000;
/** Side by side: a dead receiver holds up four others at most. */
const atOnce = 5;
const batch = 50;

/** Sends what is due; how many were tried. Never throws for one that fails: that stands in its row. */
export async function deliverDue(deps: NotifyDeps, ownerId: string, signal?: AbortSignal): Promise<number> {
  const due = await selectDueDeliveries(deps.db, deps.clock.now(), batch);
  for (let start = 0; start < due.length && signal?.aborted !== true; start += atOnce) {
    await Promise.all(due.slice(start, start + atOnce).map((delivery) => attempt(deps, delivery, ownerId)));
  }
  return due.length;
}

/** Sends a test there at once. undefined: it was taken; else why not. It stands in the history, and is not tried again. */
export async function sendTest(deps: NotifyDeps, target: Target): Promise<Sentence | undefined> {
  const id = randomUUID();
  const ownerId = randomUUID();
  const now = deps.clock.now();
  await deps.db.transaction((tx) => insertNotification(tx, { id, kind: 'test', at: now, content: {} }, [target]));
  for (const delivery of await selectDueDeliveries(deps.db, now, 1, id)) await attempt(deps, delivery, ownerId);
  const outcome = await selectDeliveryOutcome(deps.db, id);
  // another portal may be at it this moment; its result is in the history
  return outcome?.state === 'sent' ? undefined : (outcome?.error ?? say('alerts.delivery.under-way'));
}

async function attempt(deps: NotifyDeps, delivery: DueDelivery, ownerId: string): Promise<void> {
  const { db, clock, log } = deps;
  if (!(await claimDelivery(db, delivery.id, ownerId, clock.now(), leaseMs))) return;
  try {
    // begun as often as it may be: its portal ended in the last attempt, before that could be noted
    if (delivery.attempts > 0 && pauseMsAfter(delivery, delivery.attempts) === undefined) throw new AppError('host-unavailable', say('alerts.delivery.interrupted'));
    await send(deps, delivery);
    await updateDeliverySent(db, delivery.id, ownerId, clock.now());
  } catch (error) {
    const sentence = deliveryError(error);
    const attempts = delivery.attempts + 1;
    const pauseMs = error instanceof AppError && error.kind === 'not-found' ? undefined : pauseMsAfter(delivery, attempts);
    log.warn({ deliveryId: delivery.id, target: delivery.target, attempts, err: error }, 'a notification could not be delivered');
    await updateDeliveryFailed(db, delivery.id, ownerId, sentence, pauseMs === undefined ? null : clock.now() + pauseMs, clock.now());
  }
}

/** undefined: there is no further attempt. */
function pauseMsAfter({ notification }: DueDelivery, attempts: number): number | undefined {
  return notification.kind === 'test' ? undefined : retryAfterMs(attempts);
}

/** In words for the history; a mail server's own are its reason. */
export function deliveryError(error: unknown): Sentence {
  if (error instanceof AppError) return error.sentence;
  return say('alerts.delivery.no-answer', { reason: networkReason(error) });
}

async function send(deps: NotifyDeps, delivery: DueDelivery): Promise<void> {
  const settings = await selectSettings(deps.db);
  const frame: Frame = { settings, publicUrl: deps.publicUrl };
  return delivery.target.kind === 'mail' ? sendMail(deps, delivery, frame) : sendWebhook(deps, delivery, frame);
}

async function sendMail(deps: NotifyDeps, { id, target, notification }: DueDelivery, frame: Frame): Promise<void> {
  const user = await selectOptionalUser(deps.db, target.id);
  if (user === undefined || user.role !== 'admin' || user.state !== 'active') throw new AppError('not-found', say('alerts.delivery.no-receiver'));
  const { site, alerts } = frame.settings;
  const language = user.language ?? site.defaultLanguage;
  const letter = async () => {
    switch (notification.kind) {
      case 'test': return testLetter(language, frame);
      case 'digest': return digestLetter(notification.content as DigestContent, await rulesById(deps), language, frame);
      case 'incidents': {
        const { groups } = notification.content as IncidentsContent;
        const theirs = alerts.mailSeverity === 'none' ? groups : groupsFor({ minSeverity: alerts.mailSeverity, resolved: alerts.mailResolved }, groups);
        return incidentsLetter(theirs, language, frame);
      }
    }
  };
  await deps.mailer.send({ to: user.email, ...(await letter()), id });
}

/** What it was sent for counts: a wish that changed since must not leave an empty message. */
function groupsFor(wish: Wish, groups: readonly ToldGroup[]): readonly ToldGroup[] {
  const theirs = groups.filter((group) => wants(wish, group));
  return theirs.length === 0 ? groups : theirs;
}

async function sendWebhook(deps: NotifyDeps, { id, target, notification }: DueDelivery, frame: Frame): Promise<void> {
  const [webhook, sealed] = await Promise.all([selectOptionalWebhookTarget(deps.db, target.id), selectWebhookSecret(deps.db, target.id)]);
  if (webhook === undefined || sealed === undefined || (!webhook.enabled && notification.kind !== 'test')) throw new AppError('not-found', say('alerts.delivery.no-receiver'));
  const { secret = '' } = deps.webhookSecrets.open(target.id, sealed);
  const body = notification.kind === 'test' ? testBody(id, notification.at, frame) : incidentsBody(id, notification.at, groupsFor(webhook, (notification.content as IncidentsContent).groups), frame);
  await postWebhook({ url: webhook.url, secret }, { id, body }, deps.clock.now());
}

async function rulesById({ db }: NotifyDeps): Promise<Map<string, AlertRule>> {
  return new Map((await selectAlertRules(db)).map((rule) => [rule.id, rule]));
}
