// Moves of instances between hosts: an owner reads those of their own instances, an administrator asks for them.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import type { Instance } from '../../model/instance.ts';
import { moveKinds, movePercent, movePhases, moveStates, moveTriggers, type Move } from '../../model/move.ts';
import type { User } from '../../model/user.ts';
import { requestCancel } from '../../operations/cancel.ts';
import { submitMove } from '../../operations/instance-migrate.ts';
import { previewMoves } from '../../operations/move-plan.ts';
import { selectOptionalHost } from '../../store/hosts.ts';
import { loadInstance, selectInstancesByIds } from '../../store/instances.ts';
import { selectMove, selectMovesPage } from '../../store/moves.ts';
import { selectOperation } from '../../store/operations.ts';
import type { Context } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import { endpoint, type Call, type Endpoint, type Reply } from './endpoint.ts';
import { partId } from './idempotency.ts';
import { named } from './openapi.ts';
import { accepted, operationSchema } from './operations.ts';
import { pageOf, pageQuery } from './paging.ts';
import { amount, id, idParams, iso, isoOrNull, line, percent, place, time } from './shapes.ts';

/** At once. More: the answer takes longer than a program waits. */
const maxChosen = 200;
const checkTimes = { eachMs: 4000, allMs: 8000 } as const;

const bytes = z.number().min(0).nullable();
export const moveSchema = named('Move', z.strictObject({
  id, instance: place, userId: id, from: place, to: place, kind: z.enum(moveKinds), withDisk: z.boolean(), trigger: z.enum(moveTriggers), why: z.string(),
  /** the operation that asked for several at once */
  batchId: id.nullable(),
  state: z.enum(moveStates), phase: z.enum(movePhases).nullable(), percent,
  transferredBytes: bytes, remainingBytes: bytes, totalBytes: bytes, dirtyBytesPerSecond: bytes, iteration: amount.nullable(), etaMs: amount.nullable(), progressAt: time.nullable(),
  /** how long the guest stood still, as libvirt measured it */
  downtimeMs: amount.nullable(),
  error: z.string().nullable(), createdAt: time, startedAt: time.nullable(), endedAt: time.nullable(),
}));
const movePage = named('MovePage', pageOf(moveSchema));

/** For each instance one of the two. */
const startedSchema = named('MovesStarted', z.strictObject({
  items: z.array(z.strictObject({ instanceId: id, move: moveSchema.nullable(), refusal: z.string().nullable() })),
}));

const checkSchema = named('MoveCheck', z.strictObject({
  /** where it would go; null: nowhere, for the reasons below */
  host: place.nullable(),
  /** it runs, and would go on running */
  live: z.boolean(), withDisk: z.boolean(),
  obstacles: z.array(z.strictObject({ host: z.string().nullable(), text: z.string() })),
}));

export function moveBody(move: Move, context: Context): z.input<typeof moveSchema> {
  const { userId, kind, withDisk, trigger, batchId, state, phase, transferredBytes, remainingBytes, totalBytes, dirtyBytesPerSecond, iteration, etaMs, downtimeMs } = move;
  return {
    id: move.id, instance: { id: move.instanceId, name: move.instanceName }, userId, from: { id: move.fromHostId, name: move.fromHostName }, to: { id: move.toHostId, name: move.toHostName },
    kind, withDisk, trigger, why: context.say(move.why), batchId, state, phase, percent: movePercent(move),
    transferredBytes, remainingBytes, totalBytes, dirtyBytesPerSecond, iteration, etaMs, progressAt: isoOrNull(move.progressAt), downtimeMs,
    error: move.error === null ? null : context.say(move.error), createdAt: iso(move.createdAt), startedAt: isoOrNull(move.startedAt), endedAt: isoOrNull(move.endedAt),
  };
}

const newMoves = z.strictObject({
  instanceIds: z.array(id).min(1).max(maxChosen),
  /** null: placement chooses for each */
  toHostId: id.nullable().default(null),
  /** its owner reads this */
  why: line(0, 200).default(''),
});

export function moveEndpoints(deps: WebDeps): Endpoint[] {
  const { db } = deps;
  return [
    endpoint({
      method: 'get', path: '/moves', id: 'listMoves', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.listMoves'),
      query: z.strictObject({ ...pageQuery, state: z.enum(moveStates).optional(), hostId: id.optional(), instanceId: id.optional(), batchId: id.optional() }),
      response: movePage,
      handler: async ({ query, context }) => ({ body: await movesPage(deps, query, context) }),
    }),
    // before /moves/:id
    endpoint({
      method: 'get', path: '/moves/check', id: 'checkMove', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.checkMove'),
      query: z.strictObject({ instanceId: id, toHostId: id.optional() }),
      response: checkSchema,
      handler: async ({ query: { instanceId, toHostId = null }, context }) => {
        const [instance] = await chosenInstances(deps, [instanceId], 'instanceId');
        if (instance === undefined) throw new Error('one id has one instance');
        return { body: await check(deps, instance, toHostId, context) };
      },
    }),
    endpoint({
      method: 'get', path: '/moves/:id', id: 'getMove', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.getMove'),
      params: idParams,
      response: moveSchema,
      handler: async ({ params, context }) => ({ body: moveBody(await selectMove(db, params.id), context) }),
    }),
    endpoint({
      method: 'post', path: '/moves', id: 'createMoves', access: 'admin', scope: 'write', status: 202, summary: say('api.summary.createMoves'),
      audit: 'move.start',
      body: newMoves,
      response: startedSchema,
      handler: (call) => startMoves(deps, call),
    }),
    endpoint({
      method: 'post', path: '/moves/:id/cancel', id: 'cancelMove', access: 'admin', scope: 'write', status: 202, summary: say('api.summary.cancelMove'),
      audit: 'move.cancel',
      params: idParams,
      response: operationSchema,
      handler: async ({ params, context, note }) => {
        const move = await selectMove(db, params.id);
        note({ target: move.instanceName, detail: move.id });
        await requestCancel(deps.operations, await selectOperation(db, move.id));
        return accepted(await selectOperation(db, move.id), context);
      },
    }),
    endpoint({
      method: 'get', path: '/instances/:id/moves', id: 'listInstanceMoves', access: 'user', scope: 'read', status: 200, summary: say('api.summary.listInstanceMoves'),
      params: idParams,
      query: z.strictObject(pageQuery),
      response: movePage,
      handler: async ({ params, query, user, context }) => {
        const instance = await loadInstance(db, user, params.id);
        return { body: await movesPage(deps, { ...query, instanceId: instance.id }, context) };
      },
    }),
  ];
}

async function movesPage({ db }: WebDeps, query: Parameters<typeof selectMovesPage>[1], context: Context): Promise<z.input<typeof movePage>> {
  const { moves, total } = await selectMovesPage(db, query);
  return { items: moves.map((move) => moveBody(move, context)), page: query.page, pageSize: query.pageSize, total };
}

async function startMoves(deps: WebDeps, { body, user, context, note, newId }: Call<unknown, unknown, z.output<typeof newMoves>>): Promise<Reply<z.input<typeof startedSchema>>> {
  const instances = await chosenInstances(deps, body.instanceIds);
  if (body.toHostId !== null && (await selectOptionalHost(deps.db, body.toHostId)) === undefined) throw unknown('toHostId');
  note({ target: instances.map(({ name }) => name).join(' '), detail: body.toHostId ?? 'placement' });
  const items: z.input<typeof startedSchema>['items'] = [];
  for (const instance of instances) items.push(await startMove(deps, instance, { ...body, operationId: partId(newId, instance.id) }, user, context, instances.length === 1));
  const [first] = items;
  return { body: { items }, ...(items.length === 1 && first?.move ? { location: `${paths.api}/moves/${first.move.id}` } : {}) };
}

async function startMove(
  { operations }: WebDeps, instance: Instance, { toHostId, why, operationId }: z.output<typeof newMoves> & { readonly operationId: string }, actor: User, context: Context, alone: boolean,
): Promise<z.input<typeof startedSchema>['items'][number]> {
  try {
    const { move } = await submitMove(operations, { instance, toHostId, trigger: 'admin', why: why === '' ? say('moves.why.admin') : say('moves.why.words', { words: why }), actor, operationId });
    return { instanceId: instance.id, move: moveBody(move, context), refusal: null };
  } catch (error) {
    // of several the others go on
    if (!(error instanceof AppError) || alone) throw error;
    return { instanceId: instance.id, move: null, refusal: context.say(error.sentence) };
  }
}

async function chosenInstances({ db }: WebDeps, ids: readonly string[], field = 'instanceIds'): Promise<Instance[]> {
  const chosen = [...new Set(ids)];
  const found = new Map((await selectInstancesByIds(db, chosen)).map((instance) => [instance.id, instance]));
  return chosen.map((each) => found.get(each) ?? fail(unknown(field)));
}

function fail(error: AppError): never {
  throw error;
}

const unknown = (field: string): AppError => new AppError('invalid', say('api.errors.invalid'), { fields: { [field]: say('form.not-an-id') } });

async function check(deps: WebDeps, instance: Instance, toHostId: string | null, context: Context): Promise<z.input<typeof checkSchema>> {
  if (toHostId !== null && (await selectOptionalHost(deps.db, toHostId)) === undefined) throw unknown('toHostId');
  const [found] = await previewMoves(deps.operations, [instance], toHostId, checkTimes);
  if (found === undefined) throw new Error('one instance has one answer');
  return {
    host: found.to === null ? null : { id: found.to.id, name: found.to.name }, live: found.check?.live ?? false, withDisk: found.check?.withDisk ?? false,
    obstacles: found.refusals.flatMap(({ hostName, reasons }) => reasons.map((reason) => ({ host: hostName, text: context.say(reason) }))),
  };
}
