// Incidents, for admins' own tools: what is open, and "I have it".
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import { severities, subjectKinds } from '../../model/alert-rule.ts';
import { incidentStates, noteLength, type Incident } from '../../model/incident.ts';
import { claimIncidentAcknowledged, selectIncident, selectIncidentsPage } from '../../store/incidents.ts';
import type { Context } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { offsetOf, pageOf, pageQuery } from './paging.ts';
import { amount, id, idParams, iso, isoOrNull, line, time } from './shapes.ts';

const incidentSchema = named('Incident', z.strictObject({
  id, state: z.enum(incidentStates), severity: z.enum(severities),
  ruleId: id,
  /** what the rule looks at: host.unreachable, pool.used, … */
  condition: z.string(),
  subject: z.strictObject({ kind: z.enum(subjectKinds), id: z.string(), name: z.string() }),
  text: z.string(),
  openedAt: time, resolvedAt: time.nullable(),
  /** how often it came back */
  reopened: amount,
  acknowledgedAt: time.nullable(), acknowledgedBy: id.nullable(), note: z.string().nullable(),
}));
const incidentPage = named('IncidentPage', pageOf(incidentSchema));

function incidentBody(incident: Incident, context: Context): z.input<typeof incidentSchema> {
  const { state, severity, ruleId, condition, subject, reopened, acknowledgedBy, note } = incident;
  return {
    id: incident.id, state, severity, ruleId, condition, subject, text: context.say(incident.sentence), openedAt: iso(incident.openedAt), resolvedAt: isoOrNull(incident.resolvedAt), reopened,
    acknowledgedAt: isoOrNull(incident.acknowledgedAt), acknowledgedBy, note,
  };
}

export function incidentEndpoints({ db, clock }: WebDeps): Endpoint[] {
  return [
    endpoint({
      method: 'get', path: '/incidents', id: 'listIncidents', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.listIncidents'),
      query: z.strictObject({ ...pageQuery, state: z.enum(incidentStates).optional(), severity: z.enum(severities).optional(), kind: z.enum(subjectKinds).optional() }),
      response: incidentPage,
      handler: async ({ query, context }) => {
        const { page, pageSize, state, severity, kind } = query;
        const { incidents, total } = await selectIncidentsPage(db, { states: state === undefined ? undefined : [state], severity, subjectKind: kind }, pageSize, offsetOf(query));
        return { body: { items: incidents.map((incident) => incidentBody(incident, context)), page, pageSize, total } };
      },
    }),
    endpoint({
      method: 'get', path: '/incidents/:id', id: 'getIncident', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.getIncident'),
      params: idParams,
      response: incidentSchema,
      handler: async ({ params, context }) => ({ body: incidentBody(await selectIncident(db, params.id), context) }),
    }),
    endpoint({
      method: 'post', path: '/incidents/:id/acknowledge', id: 'acknowledgeIncident', access: 'admin', scope: 'write', status: 200, summary: say('api.summary.acknowledgeIncident'),
      audit: 'incident.acknowledge',
      params: idParams,
      body: z.strictObject({ note: line(0, noteLength).optional() }).optional(),
      response: incidentSchema,
      handler: async ({ params, body, user, context, note }) => {
        const incident = await selectIncident(db, params.id);
        const words = body?.note ?? '';
        note({ target: incident.subject.name || incident.id, detail: words });
        const taken = await db.transaction((tx) => claimIncidentAcknowledged(tx, incident.id, user.id, words === '' ? null : words, clock.now()));
        if (!taken) throw new AppError('conflict', say('alerts.acknowledged-already'));
        return { body: incidentBody(await selectIncident(db, incident.id), context) };
      },
    }),
  ];
}
