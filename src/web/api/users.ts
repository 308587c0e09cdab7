// Accounts, for admins. Making an admin needs a logged-in admin: a leaked token must not be able to make itself a lasting home.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import { roles } from '../../model/access.ts';
import { languages, userStates } from '../../model/user.ts';
import { hashPassword } from '../../password.ts';
import { insertUser, selectUser, selectUsersPage, updateQuota, updateUserAccess } from '../../store/users.ts';
import type { Context } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { email } from '../forms.ts';
import { paths } from '../paths.ts';
import { displayName, userName } from '../session/forms.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { offsetOf, pageOf, pageQuery } from './paging.ts';
import { idParams, sent } from './shapes.ts';
import { quotaOverrideShape, userBody, userSchema } from './user-shape.ts';

const role = z.enum(roles);
const state = z.enum(userStates);

export function userEndpoints({ db, clock }: WebDeps): Endpoint[] {
  return [
    endpoint({
      method: 'get', path: '/users', id: 'listUsers', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.listUsers'),
      query: z.strictObject({ ...pageQuery, search: z.string().max(254).optional(), state: state.optional(), role: role.optional() }),
      response: named('UserPage', pageOf(userSchema)),
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
      method: 'post', path: '/users', id: 'createUser', access: 'admin', scope: 'write', status: 201, summary: say('api.summary.createUser'),
      audit: 'user.create',
      body: z.strictObject({
        name: sent(userName()), displayName: sent(displayName()), email: sent(email()),
        password: z.string().min(1).max(200), role: role.default('user'), language: z.enum(languages).nullable().default(null),
      }),
      response: userSchema,
      handler: async ({ body: { password, ...account }, context, note }) => {
        note({ target: account.name, detail: account.role });
        needsPerson(context, account.role);
        const id = randomUUID();
        const passwordHash = await hashPassword(password, account.name);
        const made = await insertUser(db, { id, ...account, passwordHash, state: 'active', createdAt: clock.now() });
        if (!made) throw new AppError('conflict', say('account.name-taken'), { fields: { name: say('account.name-taken') } });
        return { body: userBody(await selectUser(db, id)), location: `${paths.api}/users/${id}` };
      },
    }),
    endpoint({
      method: 'patch', path: '/users/:id', id: 'patchUser', access: 'admin', scope: 'write', status: 200, summary: say('api.summary.patchUser'),
      audit: 'user.change',
      params: idParams,
      body: z.strictObject({ role: role.optional(), state: state.optional(), quota: z.strictObject(quotaOverrideShape).partial().optional() }),
      response: userSchema,
      handler: async ({ params, body, context, note }) => {
        const user = await selectUser(db, params.id);
        note({ target: user.name, detail: JSON.stringify(body) });
        if (body.role !== user.role) needsPerson(context, body.role);
        const access = { ...(body.role === undefined ? {} : { role: body.role }), ...(body.state === undefined ? {} : { state: body.state }) };
        if ((await updateUserAccess(db, user.id, access, clock.now())) === 'last-admin') throw new AppError('conflict', say('api.errors.last-admin'));
        if (body.quota !== undefined) await updateQuota(db, user.id, { ...user.quota, ...defined(body.quota) }, clock.now());
        return { body: userBody(await selectUser(db, user.id)) };
      },
    }),
  ];
}

/** A field that was not sent keeps its value; null is a value. */
function defined<T extends object>(sent: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(sent).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function needsPerson(context: Context, role: (typeof roles)[number] | undefined): void {
  if (role === 'admin' && context.bearer) throw new AppError('forbidden', say('api.errors.session-only'));
}
