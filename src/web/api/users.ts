// Accounts, for admins. Making an admin needs a logged-in admin: a leaked token must not be able to make itself a lasting home.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import { roles } from '../../model/access.ts';
import { settingsBounds } from '../../model/settings.ts';
import { userStates, type QuotaOverride, type User } from '../../model/user.ts';
import { randomPasswordHash } from '../../password.ts';
import { deleteSessionsOfUser } from '../../store/sessions.ts';
import { createPasswordLink, setupLinkLifeMs } from '../../store/setup-links.ts';
import { insertUser, selectUser, selectUsersPage, updateQuota, updateUserAccess } from '../../store/users.ts';
import { newUserForm } from '../admin/users/forms.ts';
import type { Context } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { offsetOf, pageOf, pageQuery } from './paging.ts';
import { idParams, iso, sent, time } from './shapes.ts';
import { userBody, userSchema } from './user-shape.ts';

const role = z.enum(roles);
const state = z.enum(userStates);
const bounded = ([least, most]: readonly [number, number]) => z.int().min(least).max(most).nullable().optional();
const quotaChange = z.strictObject({
  instances: bounded(settingsBounds.quotaInstances), vcpus: bounded(settingsBounds.quotaVcpus),
  memoryMib: bounded(settingsBounds.quotaMemoryMib), diskGib: bounded(settingsBounds.quotaDiskGib),
});
const accessChange = z.strictObject({ role: role.optional(), state: state.optional() });

const userPage = named('UserPage', pageOf(userSchema));
const newUserSchema = named('NewUser', z.strictObject({ ...userSchema.shape, passwordLink: z.string(), passwordLinkExpiresAt: time }));

export function userEndpoints(deps: WebDeps): Endpoint[] {
  const { db, clock, config } = deps;
  return [
    endpoint({
      method: 'get', path: '/users', id: 'listUsers', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.listUsers'),
      query: z.strictObject({ ...pageQuery, search: z.string().max(100).optional(), state: state.optional(), role: role.optional() }),
      response: userPage,
      handler: async ({ query: { page, pageSize, ...filter } }) => {
        const { users, total } = await selectUsersPage(db, filter, pageSize, offsetOf({ page, pageSize }));
        return { body: { items: users.map(userBody), page, pageSize, total } };
      },
    }),
    endpoint({
      method: 'get', path: '/users/:id', id: 'getUser', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.getUser'),
      params: idParams,
      response: userSchema,
      handler: async ({ params }) => ({ body: userBody(await selectUser(db, params.id)) }),
    }),
    endpoint({
      // the account has a password that nobody knows; its owner chooses one by the link, which is in this one answer only
      method: 'post', path: '/users', id: 'createUser', access: 'admin', scope: 'write', status: 201, secret: true, summary: say('api.summary.createUser'),
      audit: 'user.create',
      body: z.strictObject({ name: sent(newUserForm.shape.name), displayName: sent(newUserForm.shape.displayName), email: sent(newUserForm.shape.email), role: role.default('user') }),
      response: newUserSchema,
      handler: async ({ body, context, note, newId: id }) => {
        note({ target: body.name, detail: body.role });
        needsPerson(context, body.role);
        const made = await insertUser(db, { id, ...body, passwordHash: await randomPasswordHash(), state: 'active', language: null, createdAt: clock.now() });
        if (!made) throw new AppError('conflict', say('account.name-taken'), { fields: { name: say('account.name-taken') } });
        const passwordLink = config.publicUrl + paths.setup(await createPasswordLink(db, id, clock));
        const passwordLinkExpiresAt = iso(clock.now() + setupLinkLifeMs);
        return { body: { ...userBody(await selectUser(db, id)), passwordLink, passwordLinkExpiresAt }, location: `${paths.api}/users/${id}` };
      },
    }),
    endpoint({
      method: 'patch', path: '/users/:id', id: 'patchUser', access: 'admin', scope: 'write', status: 200, summary: say('api.summary.patchUser'),
      audit: 'user.change',
      params: idParams,
      body: accessChange.extend({ quota: quotaChange.optional() }),
      response: userSchema,
      handler: async ({ params, body, context, note }) => {
        const user = await selectUser(db, params.id);
        note({ target: user.name, detail: JSON.stringify(body) });
        if (body.role !== user.role) needsPerson(context, body.role);
        await changeAccess(deps, user, body);
        if (body.quota !== undefined) await updateQuota(db, user.id, merged(user.quota, body.quota), clock.now());
        return { body: userBody(await selectUser(db, user.id)) };
      },
    }),
  ];
}

function needsPerson(context: Context, wanted: z.output<typeof role> | undefined): void {
  if (wanted === 'admin' && context.bearer) throw new AppError('forbidden', say('api.errors.session-only'));
}

async function changeAccess({ db, clock }: WebDeps, user: User, { role: newRole = user.role, state: newState = user.state }: z.output<typeof accessChange>): Promise<void> {
  if (newRole === user.role && newState === user.state) return;
  const result = await updateUserAccess(db, user.id, { role: newRole, state: newState }, clock.now());
  if (result === 'missing') throw new AppError('not-found', say('users.not-found'));
  if (result === 'last-admin') throw new AppError('conflict', say('users.last-admin'));
  // the epoch has already ended them; this frees their rows
  await deleteSessionsOfUser(db, user.id);
}

/** A figure that was not sent stays; null is "the default holds". */
function merged(quota: QuotaOverride, change: z.output<typeof quotaChange>): QuotaOverride {
  const figure = (key: keyof QuotaOverride): number | null => change[key] === undefined ? quota[key] : change[key];
  return { instances: figure('instances'), vcpus: figure('vcpus'), memoryMib: figure('memoryMib'), diskGib: figure('diskGib') };
}
