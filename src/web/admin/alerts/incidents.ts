// Open incidents, all that there were, and one with its history.
import type { Request } from 'express';
import { z } from 'zod';
import { AppError, say } from '../../../errors.ts';
import { manyWords, messageRuleId, severities, subjectKinds, type AlertRule } from '../../../model/alert-rule.ts';
import { incidentStates, noteLength, type Incident } from '../../../model/incident.ts';
import { selectAlertRules } from '../../../store/alert-rules.ts';
import { claimIncidentAcknowledged, countIncidents, selectIncident, selectIncidentEvents, selectIncidentsPage, type IncidentFilter } from '../../../store/incidents.ts';
import { selectUserNames } from '../../../store/users.ts';
import { contextOf, currentUser, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { parseForm, text } from '../../forms.ts';
import { localPath } from '../../local-path.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';
import { tellsNobody } from './targets.ts';

const here = paths.adminPage('alerts');
const pageSize = 50;
const dayMs = 86_400_000;
const pageNumber = z.coerce.number().int().min(1).max(1_000_000).catch(1);
const listQuery = z.object({ page: pageNumber });
const dayText = z.iso.date().optional().catch(undefined);
const historyQuery = z.object({
  page: pageNumber, state: z.enum(incidentStates).optional().catch(undefined), severity: z.enum(severities).optional().catch(undefined),
  rule: z.string().regex(/^[0-9a-f-]{36}$/).optional().catch(undefined), kind: z.enum(subjectKinds).optional().catch(undefined), from: dayText, until: dayText,
});
const noteForm = z.object({ note: text({ max: noteLength }), next: z.string().default(''), rule: z.string().regex(/^[0-9a-f-]{36}$/).optional().catch(undefined) });

export function listOpen(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { page } = listQuery.parse(req.query);
    const [nobodyTold, { incidents, total }, counts] = await Promise.all([tellsNobody(deps), selectIncidentsPage(deps.db, { states: ['open', 'acknowledged'] }, pageSize, (page - 1) * pageSize, 'urgency'), countIncidents(deps.db)]);
    await render(req, res, 'admin/alerts/open', { title: contextOf(req).t('alerts.title'), counts, page, pageSize, total, base: `${here}?`, ...(await withNames(deps, incidents)), groups: groupsOf(incidents), manyWords, nobodyTold, refreshSeconds: 60 });
  };
}

interface Group { readonly key: string; readonly ruleId: string; readonly incidents: readonly Incident[] }

/** Neighbours of one rule and state: many of them are one line that opens. What the portal reports itself stands alone. */
function groupsOf(incidents: readonly Incident[]): Group[] {
  const groups = new Map<string, Incident[]>();
  for (const incident of incidents) {
    const key = `${incident.state}-${incident.ruleId === messageRuleId ? incident.id : incident.ruleId}`;
    groups.set(key, [...(groups.get(key) ?? []), incident]);
  }
  return [...groups].map(([key, members]) => ({ key, ruleId: members[0]?.ruleId ?? '', incidents: members }));
}

export function listHistory(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { page, state, severity, rule, kind, from, until } = historyQuery.parse(req.query);
    const filter: IncidentFilter = {
      states: state === undefined ? undefined : [state], severity, ruleId: rule, subjectKind: kind,
      from: from === undefined ? undefined : Date.parse(from), until: until === undefined ? undefined : Date.parse(until) + dayMs,
    };
    const { incidents, total } = await selectIncidentsPage(deps.db, filter, pageSize, (page - 1) * pageSize);
    const asked = new URLSearchParams(Object.entries({ state, severity, rule, kind, from, until }).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]])));
    await render(req, res, 'admin/alerts/history', {
      title: contextOf(req).t('alerts.title'), page, pageSize, total, base: `${here}/history?${asked.size === 0 ? '' : `${asked.toString()}&`}`,
      filter: { state, severity, rule, kind, from, until }, choices: { states: incidentStates, severities, kinds: subjectKinds }, messageRuleId, ...(await withNames(deps, incidents)),
    });
  };
}

export function showIncident(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const incident = await selectIncident(deps.db, itemId(req));
    const events = await selectIncidentEvents(deps.db, incident.id);
    const userNames = await selectUserNames(deps.db, [...new Set(events.flatMap(({ userId }) => (userId === null ? [] : [userId])))]);
    await render(req, res, 'admin/alerts/incident', {
      title: contextOf(req).say(incident.sentence), incident, events, userNames, rules: await rulesById(deps), noteLength,
    });
  };
}

export function acknowledge(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { note, next } = parseNote(req);
    const incident = await selectIncident(deps.db, itemId(req));
    noteAudit(req, { target: incident.subject.name || incident.id, detail: note });
    if (!(await take(deps, req, incident, note))) throw new AppError('conflict', say('alerts.acknowledged-already'));
    flash(req, 'success', say('alerts.acknowledged'));
    res.redirect(303, localPath(next, paths.incident(incident.id)));
  };
}

/** Everything that is open now, or all of one rule, with the same note: at night one looks at it all, once. */
export function acknowledgeAll(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { note, rule } = parseNote(req);
    const { incidents } = await selectIncidentsPage(deps.db, { states: ['open'], ruleId: rule }, 1000, 0);
    let total = 0;
    for (const incident of incidents) if (await take(deps, req, incident, note)) total++;
    noteAudit(req, { target: String(total), detail: note });
    flash(req, 'success', say('alerts.acknowledged-all', { total }));
    res.redirect(303, here);
  };
}

function take({ db, clock }: WebDeps, req: Request, incident: Incident, note: string): Promise<boolean> {
  return db.transaction((tx) => claimIncidentAcknowledged(tx, incident.id, currentUser(req).id, note === '' ? null : note, clock.now()));
}

function parseNote(req: Request): z.output<typeof noteForm> {
  const form = parseForm(noteForm, req.body);
  if (!form.ok) throw new AppError('invalid', say('errors.check-fields'), { fields: form.fields });
  return form.value;
}

async function withNames(deps: WebDeps, incidents: readonly Incident[]): Promise<{ incidents: readonly Incident[]; rules: Map<string, AlertRule>; userNames: Map<string, string>; noteLength: number }> {
  const userNames = await selectUserNames(deps.db, [...new Set(incidents.flatMap(({ acknowledgedBy }) => (acknowledgedBy === null ? [] : [acknowledgedBy])))]);
  return { incidents, rules: await rulesById(deps), userNames, noteLength };
}

async function rulesById({ db }: WebDeps): Promise<Map<string, AlertRule>> {
  return new Map((await selectAlertRules(db)).map((rule) => [rule.id, rule]));
}
