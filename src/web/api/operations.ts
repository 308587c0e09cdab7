// Background work, for whoever asked for it and whoever owns what it is done to.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import { mayCancel, operationKinds, operationStates, stepStates, type Operation, type OperationStep } from '../../model/operation.ts';
import type { User } from '../../model/user.ts';
import { requestCancel } from '../../operations/cancel.ts';
import { selectOptionalInstance } from '../../store/instances.ts';
import { selectOperationsPage, selectOperationSteps, selectOptionalOperation } from '../../store/operations.ts';
import type { Context } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import { endpoint, type Endpoint, type Reply } from './endpoint.ts';
import { named } from './openapi.ts';
import { pageOf, pageQuery } from './paging.ts';
import { everybody, id, idParams, iso, isoOrNull, owner, time } from './shapes.ts';

const operationShape = {
  id, kind: z.enum(operationKinds), state: z.enum(operationStates), instanceId: id.nullable(), userId: id.nullable(),
  /** of the step in progress */
  progressPercent: z.number().nullable(), error: z.string().nullable(), note: z.string().nullable(),
  cancellable: z.boolean(), cancelRequested: z.boolean(), createdAt: time, startedAt: time.nullable(), endedAt: time.nullable(),
};
export const operationSchema = named('Operation', z.strictObject(operationShape));
const stepSchema = z.strictObject({ name: z.string(), state: z.enum(stepStates), startedAt: time.nullable(), endedAt: time.nullable(), error: z.string().nullable() });
const operationWithStepsSchema = named('OperationWithSteps', z.strictObject({ ...operationShape, steps: z.array(stepSchema) }));

const operationPage = named('OperationPage', pageOf(operationSchema));

export function operationBody(operation: Operation, context: Context): z.input<typeof operationSchema> {
  const { kind, state, instanceId, userId, progressPercent, error, note, cancellable, cancelRequested, createdAt, startedAt, endedAt } = operation;
  const say = (sentence: typeof error): string | null => (sentence === null ? null : context.say(sentence));
  return {
    id: operation.id, kind, state, instanceId, userId, progressPercent, error: say(error), note: say(note), cancellable, cancelRequested,
    createdAt: iso(createdAt), startedAt: isoOrNull(startedAt), endedAt: isoOrNull(endedAt),
  };
}

function stepBody({ name, state, startedAt, endedAt, error }: OperationStep, context: Context): z.input<typeof stepSchema> {
  return { name, state, startedAt: isoOrNull(startedAt), endedAt: isoOrNull(endedAt), error: error === null ? null : context.say(error) };
}

/** 202's answer: the operation, and where it can be watched. */
export function accepted(operation: Operation, context: Context): Reply<z.input<typeof operationSchema>> {
  return { body: operationBody(operation, context), location: `${paths.api}/operations/${operation.id}` };
}

/** What others, and the system, do to one's own instance is one's own business too. */
async function ownsInstance({ db }: Pick<WebDeps, 'db'>, user: User, instanceId: string | undefined): Promise<boolean> {
  return instanceId !== undefined && (await selectOptionalInstance(db, instanceId))?.userId === user.id;
}

/** Not-found for one that is missing and for one that is another's. */
async function loadOperation({ db }: WebDeps, user: User, operationId: string): Promise<Operation> {
  const operation = await selectOptionalOperation(db, operationId);
  if (operation !== undefined && (user.role === 'admin' || operation.userId === user.id)) return operation;
  if (operation !== undefined && (await ownsInstance({ db }, user, operation.instanceId ?? undefined))) return operation;
  throw new AppError('not-found', say('errors.not-found'));
}

export function operationEndpoints(deps: WebDeps): Endpoint[] {
  const { db } = deps;
  return [
    endpoint({
      method: 'get', path: '/operations', id: 'listOperations', access: 'user', scope: 'read', status: 200, summary: say('api.summary.listOperations'),
      query: z.strictObject({ ...pageQuery, owner, state: z.enum(operationStates).optional(), kind: z.enum(operationKinds).optional(), instanceId: id.optional() }),
      response: operationPage,
      handler: async ({ query: { owner: whose, ...filter }, user, context }) => {
        const isAll = everybody(whose, user) || (await ownsInstance(deps, user, filter.instanceId));
        const { operations, total } = await selectOperationsPage(db, { ...filter, userId: isAll ? undefined : user.id });
        return { body: { items: operations.map((operation) => operationBody(operation, context)), page: filter.page, pageSize: filter.pageSize, total } };
      },
    }),
    endpoint({
      method: 'get', path: '/operations/:id', id: 'getOperation', access: 'user', scope: 'read', status: 200, summary: say('api.summary.getOperation'),
      params: idParams,
      response: operationWithStepsSchema,
      handler: async ({ params, user, context }) => {
        const operation = await loadOperation(deps, user, params.id);
        const steps = await selectOperationSteps(db, operation.id);
        return { body: { ...operationBody(operation, context), steps: steps.map((step) => stepBody(step, context)) } };
      },
    }),
    endpoint({
      method: 'post', path: '/operations/:id/cancel', id: 'cancelOperation', access: 'user', scope: 'write', status: 202, summary: say('api.summary.cancelOperation'),
      audit: 'operation.cancel',
      params: idParams,
      response: operationSchema,
      handler: async ({ params, user, context, note }) => {
        const operation = await loadOperation(deps, user, params.id);
        note({ target: operation.id, detail: operation.kind });
        if (!mayCancel(user.role, operation)) throw new AppError('forbidden', say('operations.cancel.admins-only'));
        await requestCancel(deps.operations, operation);
        return accepted(await loadOperation(deps, user, params.id), context);
      },
    }),
  ];
}
