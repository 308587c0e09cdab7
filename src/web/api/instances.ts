// Instances: what exists, what is measured of it, and every action the pages have.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import { haPriorities, haPriorityNames, instanceActions, instanceCan, instanceStates, mayGivePriority, type HaPriority, type Instance } from '../../model/instance.ts';
import { isStale, type InstanceSample } from '../../model/metrics.ts';
import { operationKinds } from '../../model/operation.ts';
import { changeAvailability, priorityRefused } from '../../operations/instance-availability.ts';
import { submitInstanceAction, type PowerAction } from '../../operations/instance-action.ts';
import { openConsole } from '../../operations/instance-console.ts';
import { submitInstanceCreate } from '../../operations/instance-create.ts';
import { selectHosts } from '../../store/hosts.ts';
import { countInstancesByUser, loadInstance, selectInstancesByUser, selectInstancesPage } from '../../store/instances.ts';
import { latestWithin, selectInstanceSampleRange, selectLatestInstanceSamples } from '../../store/samples.ts';
import type { Context } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { optionsShape } from '../instances/options-form.ts';
import { reviewForm } from '../instances/wizard-form.ts';
import { chosenImage } from './choices.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { accepted, operationSchema } from './operations.ts';
import { pageOf, pageQuery } from './paging.ts';
import { amount, everybody, id, idParams, iso, isoOrNull, owner, percent, place, sent, sizeShape, time } from './shapes.ts';

const rate = z.number().min(0).nullable();
const sampleShape = {
  at: time, cpuPercent: percent,
  /** when memory and disks were read: they are asked for less often */
  detailAt: time.nullable(),
  memoryUsedMib: amount.nullable(), memoryAvailableMib: amount.nullable(), diskReadBytesPerSecond: rate, diskWriteBytesPerSecond: rate,
  diskReadOpsPerSecond: rate, diskWriteOpsPerSecond: rate, diskAllocationMib: amount.nullable(),
  networkReceiveBytesPerSecond: rate, networkTransmitBytesPerSecond: rate, networkReceivePacketsPerSecond: rate, networkTransmitPacketsPerSecond: rate, networkDropsPerSecond: rate,
};
const sampleSchema = named('Sample', z.strictObject(sampleShape));

const priorities = ['high', 'normal', 'low'] as const;
function priorityNamed(name: (typeof priorities)[number]): HaPriority {
  return haPriorities.find((each) => haPriorityNames[each] === name) ?? 1;
}

const instanceSchema = named('Instance', z.strictObject({
  id, userId: id, name: z.string(), ...sizeShape, state: z.enum(instanceStates), stateAt: time,
  /** the operation that holds it now */
  operation: z.strictObject({ id, kind: z.enum(operationKinds) }).nullable(),
  host: place.nullable(),
  /** when it last changed hosts */
  movedAt: time.nullable(),
  /** started on another host when its own has failed, and in which turn */
  ha: z.boolean(), priority: z.enum(priorities),
  /** the owner's instances of one group are placed on different hosts */
  antiAffinity: z.string().nullable(),
  imageId: id, mac: z.string(), address: z.string().nullable(),
  /** until when the last console password opens the screen */
  consoleExpiresAt: time.nullable(), problem: z.string().nullable(), createdAt: time,
  /** what may be done with it now */
  actions: z.array(z.enum(instanceActions)),
  measured: z.strictObject({ ...sampleShape, stale: z.boolean() }).nullable(),
}));

const instancePage = named('InstancePage', pageOf(instanceSchema));
const consoleSchema = named('Console', z.strictObject({ address: z.string(), port: z.int(), password: z.string(), expiresAt: time }));
const samplesSchema = named('Samples', z.strictObject({ from: time, to: time, items: z.array(sampleSchema) }));

function sampleBody(sample: InstanceSample): z.input<typeof sampleSchema> {
  const { subjectId: _subjectId, at, detailAt, ...values } = sample;
  return { at: iso(at), detailAt: isoOrNull(detailAt), ...values };
}

function instanceBody(instance: Instance, context: Context, hostName: string | undefined, measured: z.input<typeof instanceSchema>['measured']): z.input<typeof instanceSchema> {
  const { userId, name, vcpus, memoryMib, diskGib, state, operationId, operationKind, hostId, imageId, mac, address, problem } = instance;
  const kind = operationKinds.find((each) => each === operationKind);
  return {
    id: instance.id, userId, name, vcpus, memoryMib, diskGib, state, stateAt: iso(instance.stateAt),
    operation: operationId === null || kind === undefined ? null : { id: operationId, kind },
    host: hostId === null || hostName === undefined ? null : { id: hostId, name: hostName },
    movedAt: isoOrNull(instance.movedAt), ha: instance.ha, priority: haPriorityNames[instance.haPriority], antiAffinity: instance.antiAffinity,
    imageId, mac, address, consoleExpiresAt: isoOrNull(instance.consoleExpiresAt), problem: problem === null ? null : context.say(problem),
    createdAt: iso(instance.createdAt), actions: instanceActions.filter((action) => instanceCan(action, instance)), measured,
  };
}

async function instanceBodies({ db, clock, config }: WebDeps, instances: readonly Instance[], context: Context): Promise<z.input<typeof instanceSchema>[]> {
  const now = clock.now();
  const [hosts, samples] = await Promise.all([selectHosts(db), selectLatestInstanceSamples(db, instances.map((instance) => instance.subjectId), now, latestWithin(config.pollIntervalMs))]);
  const names = new Map(hosts.map((host) => [host.id, host.name]));
  return instances.map((instance) => {
    const sample = samples.get(instance.subjectId);
    const measured = sample === undefined ? null : { ...sampleBody(sample), stale: isStale(sample.at, now, config.pollIntervalMs) };
    return instanceBody(instance, context, names.get(instance.hostId ?? ''), measured);
  });
}

const group = sent(optionsShape.antiAffinity);

const newInstance = z.strictObject({
  name: sent(reviewForm.shape.name), imageId: id, vcpus: amount.min(1), memoryMib: amount.min(1), diskGib: amount.min(1),
  sshKey: sent(reviewForm.shape.sshKey).default(''), userData: sent(reviewForm.shape.userData).default(''),
  /** absent: as the cloud's settings say */
  ha: z.boolean().optional(), priority: z.enum(priorities).default('normal'), antiAffinity: group.nullable().default(null),
});

/** What is not sent stays. */
const instanceChange = z.strictObject({ ha: z.boolean().optional(), priority: z.enum(priorities).optional(), antiAffinity: group.nullable().optional() }).default({});

export function instanceEndpoints(deps: WebDeps): Endpoint[] {
  const { db } = deps;
  return [
    endpoint({
      method: 'get', path: '/instances', id: 'listInstances', access: 'user', scope: 'read', status: 200, summary: say('api.summary.listInstances'),
      query: z.strictObject({ ...pageQuery, owner, search: z.string().max(32).default(''), state: z.enum(instanceStates).optional() }),
      response: instancePage,
      handler: async ({ query: { owner: whose, ...query }, user, context }) => {
        const { instances, total } = everybody(whose, user)
          ? await selectInstancesPage(db, query)
          : { instances: await selectInstancesByUser(db, user.id, query), total: await countInstancesByUser(db, user.id, query.search, query.state) };
        return { body: { items: await instanceBodies(deps, instances, context), page: query.page, pageSize: query.pageSize, total } };
      },
    }),
    endpoint({
      method: 'post', path: '/instances', id: 'createInstance', access: 'user', scope: 'write', status: 202, summary: say('api.summary.createInstance'),
      audit: 'instance.create',
      body: newInstance,
      response: operationSchema,
      handler: async ({ body, user, context, note, newId }) => {
        note({ target: body.name });
        const { name, imageId, sshKey, userData, ha, priority, antiAffinity, ...size } = body;
        const haPriority = priorityNamed(priority);
        if (!mayGivePriority(user.role, haPriority, null)) throw priorityRefused('priority');
        const image = await chosenImage(deps, imageId);
        if (!image.cloudInit && sshKey + userData !== '') throw new AppError('invalid', say('api.errors.invalid'), { fields: { imageId: say('api.field.no-cloud-init') } });
        const { instance, operation } = await submitInstanceCreate(deps.operations, { instanceId: newId, user, name, image, size, sshKey, userData, ...(ha === undefined ? {} : { ha }), haPriority, antiAffinity });
        note({ target: instance.id, detail: instance.name });
        return accepted(operation, context);
      },
    }),
    endpoint({
      method: 'get', path: '/instances/:id', id: 'getInstance', access: 'user', scope: 'read', status: 200, summary: say('api.summary.getInstance'),
      params: idParams,
      response: instanceSchema,
      handler: async ({ params, user, context }) => {
        const [body] = await instanceBodies(deps, [await loadInstance(db, user, params.id)], context);
        if (body === undefined) throw new Error('one instance has one body');
        return { body };
      },
    }),
    endpoint({
      method: 'patch', path: '/instances/:id', id: 'patchInstance', access: 'user', scope: 'write', status: 200, summary: say('api.summary.patchInstance'),
      audit: 'instance.options',
      params: idParams,
      body: instanceChange,
      response: instanceSchema,
      handler: async ({ params, body, user, context, note }) => {
        const instance = await loadInstance(db, user, params.id);
        note({ target: instance.id, detail: JSON.stringify(body) });
        const wish = {
          ha: body.ha ?? instance.ha, haPriority: body.priority === undefined ? instance.haPriority : priorityNamed(body.priority),
          antiAffinity: body.antiAffinity === undefined ? instance.antiAffinity : body.antiAffinity,
        };
        if (!mayGivePriority(user.role, wish.haPriority, instance.haPriority)) throw priorityRefused('priority');
        await changeAvailability(deps.operations, { instance, actor: user, wish });
        const [changed] = await instanceBodies(deps, [await loadInstance(db, user, params.id)], context);
        if (changed === undefined) throw new Error('one instance has one body');
        return { body: changed };
      },
    }),
    endpoint({
      method: 'delete', path: '/instances/:id', id: 'deleteInstance', access: 'user', scope: 'write', status: 202, summary: say('api.summary.deleteInstance'),
      audit: 'instance.delete',
      params: idParams,
      response: operationSchema,
      handler: async ({ params, user, context }) => accepted(await submitInstanceAction(deps.operations, { action: 'delete', instance: await loadInstance(db, user, params.id), actor: user }), context),
    }),
    action(deps, 'start', 'startInstance'),
    action(deps, 'shutdown', 'shutdownInstance'),
    action(deps, 'force-off', 'forceOffInstance'),
    action(deps, 'reboot', 'rebootInstance'),
    endpoint({
      method: 'post', path: '/instances/:id/console', id: 'openConsole', access: 'user', scope: 'write', status: 200, secret: true, summary: say('api.summary.openConsole'),
      audit: 'instance.console',
      params: idParams,
      response: consoleSchema,
      handler: async ({ params, user }) => {
        const { address, port, password, expiresAt } = await openConsole(deps.operations, await loadInstance(db, user, params.id), user);
        return { body: { address, port, password, expiresAt: iso(expiresAt) } };
      },
    }),
    samples(deps),
  ];
}

function action(deps: WebDeps, name: Exclude<PowerAction, 'delete'>, operationId: string): Endpoint {
  return endpoint({
    method: 'post', path: `/instances/:id/actions/${name}`, id: operationId, access: 'user', scope: 'write', status: 202, summary: say(`api.summary.${operationId}`),
    audit: `instance.${name}`,
    params: idParams,
    response: operationSchema,
    handler: async ({ params, user, context, newId }) => accepted(
      await submitInstanceAction(deps.operations, { action: name, instance: await loadInstance(deps.db, user, params.id), actor: user, operationId: newId }), context,
    ),
  });
}

const hourMs = 3_600_000;

function samples({ db, clock }: WebDeps): Endpoint {
  return endpoint({
    method: 'get', path: '/instances/:id/samples', id: 'listSamples', access: 'user', scope: 'read', status: 200, summary: say('api.summary.listSamples'),
    params: idParams,
    query: z.strictObject({ from: time.optional(), to: time.optional() }),
    response: samplesSchema,
    handler: async ({ params, query, user }) => {
      const instance = await loadInstance(db, user, params.id);
      const to = query.to === undefined ? clock.now() : Date.parse(query.to);
      const from = query.from === undefined ? to - hourMs : Date.parse(query.from);
      if (from >= to) throw new AppError('invalid', say('api.errors.invalid'), { fields: { from: say('api.field.from-before-to') } });
      return { body: { from: iso(from), to: iso(to), items: (await selectInstanceSampleRange(db, instance.subjectId, from, to)).map(sampleBody) } };
    },
  });
}
