// What the day was like, for the digest. Numbers only here: its words are made when it is mailed, in each reader's language.
import type { Sentence } from '../errors.ts';
import type { Severity } from '../model/alert-rule.ts';
import type { ToldIncident } from '../model/notification.ts';
import type { Size } from '../model/size.ts';
import type { Db } from '../store/db.ts';
import { countIncidentsByRule, selectIncidentsPage } from '../store/incidents.ts';
import { countFailedOperations } from '../store/operations.ts';
import { loadResources } from './cluster.ts';

const dayMs = 86_400_000;
/** Open incidents that are named; the page has the rest. */
const listed = 20;

export interface DigestContent {
  readonly from: number;
  readonly to: number;
  readonly opened: readonly { readonly ruleId: string; readonly condition: string; readonly severity: Severity; readonly total: number }[];
  readonly stillOpen: number;
  readonly open: readonly ToldIncident[];
  readonly failedOperations: number;
  readonly hosts: { readonly up: number; readonly total: number };
  readonly instances: { readonly running: number; readonly total: number };
  readonly remaining: Size;
  /** what runs out when, and whatever else is known */
  readonly outlook: readonly Sentence[];
}

export async function loadDigest(db: Db, now: number): Promise<DigestContent> {
  const from = now - dayMs;
  const [{ hosts, instances, remaining }, opened, { incidents, total }, failedOperations] = await Promise.all([
    loadResources(db), countIncidentsByRule(db, from), selectIncidentsPage(db, { states: ['open', 'acknowledged'] }, listed, 0), countFailedOperations(db, from),
  ]);
  return {
    from, to: now, opened: opened.slice(0, listed), stillOpen: total, failedOperations,
    open: incidents.map(({ id, subject, sentence, openedAt, resolvedAt }) => ({ id, subject, sentence, openedAt, resolvedAt })),
    hosts, instances: { running: instances.running, total: instances.total }, remaining, outlook: [],
  };
}

/** Is there anything in it that somebody should do something about? */
export function hasNews({ opened, stillOpen, failedOperations, hosts, outlook }: DigestContent): boolean {
  return opened.length > 0 || stillOpen > 0 || failedOperations > 0 || hosts.up < hosts.total || outlook.length > 0;
}
