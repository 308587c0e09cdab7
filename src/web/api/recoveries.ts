// What happened, and what would happen, when a host is lost: for admins.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import { fenceProofs } from '../../model/host.ts';
import { recoveryStates, type Recovery } from '../../model/recovery.ts';
import { loadNMinusOne } from '../../operations/n-minus-1.ts';
import { selectOptionalRecovery, selectRecoveriesPage } from '../../store/recoveries.ts';
import type { Context } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { pageOf, pageQuery } from './paging.ts';
import { amount, id, idParams, iso, isoOrNull, place, time } from './shapes.ts';

const unfitSchema = z.strictObject({ id, name: z.string(), reason: z.string() });

const recoverySchema = named('Recovery', z.strictObject({
  id, host: place, state: z.enum(recoveryStates), drill: z.boolean(),
  /** what it waits for */
  note: z.string().nullable(),
  proof: z.enum(fenceProofs).nullable(),
  seenAt: time.nullable(), noticedAt: time, provenAt: time.nullable(), restartedAt: time.nullable(), endedAt: time.nullable(),
  owed: amount, restarted: amount, stopped: amount,
  /** the first of those that fit nowhere, and how many there are in all */
  unfit: z.array(unfitSchema), unfitInAll: amount,
}));
const recoveryPage = named('RecoveryPage', pageOf(recoverySchema));

const nMinusOneSchema = named('NMinusOne', z.strictObject({
  verdict: z.enum(['no-hosts', 'alone', 'nothing', 'safe', 'at-risk']),
  /** whether anything would be started at all: the setting of high availability */
  enabled: z.boolean(),
  /** hosts that are lost already: the figures are about one more */
  lost: z.array(z.string()),
  hosts: z.array(z.strictObject({ host: place, restarts: amount, withoutHa: amount, unfit: z.array(unfitSchema) })),
}));

function recoveryBody(recovery: Recovery, context: Context): z.input<typeof recoverySchema> {
  const { state, drill, waitsFor, proof, report } = recovery;
  return {
    id: recovery.id, host: { id: recovery.hostId, name: recovery.hostName }, state, drill, note: waitsFor === null ? null : context.say(waitsFor), proof,
    seenAt: isoOrNull(recovery.seenAt), noticedAt: iso(recovery.noticedAt), provenAt: isoOrNull(recovery.provenAt), restartedAt: isoOrNull(recovery.restartedAt), endedAt: isoOrNull(recovery.endedAt),
    owed: report.owed, restarted: report.restarted, stopped: report.stopped, unfitInAll: report.unfitInAll,
    unfit: report.unfit.map(({ instanceId, name, reason }) => ({ id: instanceId, name, reason: context.say(reason) })),
  };
}

export function recoveryEndpoints({ db, clock }: WebDeps): Endpoint[] {
  return [
    endpoint({
      method: 'get', path: '/recoveries', id: 'listRecoveries', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.listRecoveries'),
      query: z.strictObject(pageQuery),
      response: recoveryPage,
      handler: async ({ query: { page, pageSize }, context }) => {
        const { recoveries, total } = await selectRecoveriesPage(db, page, pageSize);
        return { body: { items: recoveries.map((recovery) => recoveryBody(recovery, context)), page, pageSize, total } };
      },
    }),
    endpoint({
      method: 'get', path: '/recoveries/:id', id: 'getRecovery', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.getRecovery'),
      params: idParams,
      response: recoverySchema,
      handler: async ({ params, context }) => {
        const recovery = await selectOptionalRecovery(db, params.id);
        if (recovery === undefined) throw new AppError('not-found', say('errors.not-found'));
        return { body: recoveryBody(recovery, context) };
      },
    }),
    endpoint({
      method: 'get', path: '/n-minus-1', id: 'getNMinusOne', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.getNMinusOne'),
      response: nMinusOneSchema,
      handler: async ({ context }) => {
        const { verdict, enabled, lost, losses } = await loadNMinusOne(db, clock.now());
        const hosts = losses.map(({ host, restarts, withoutHa, unfit }) => ({
          host: { id: host.id, name: host.name }, restarts, withoutHa,
          unfit: unfit.map(({ instance, reasons }) => ({ id: instance.id, name: instance.name, reason: reasons.map((reason) => context.say(reason)).join(' ') })),
        }));
        return { body: { verdict, enabled, lost: [...lost], hosts } };
      },
    }),
  ];
}
