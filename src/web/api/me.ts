// Who I am, and my tokens. A token is made in a logged-in session only: one that leaked must not be able to make more.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import { effectiveQuota } from '../../model/user.ts';
import { createApiToken, maxTokensPerUser, revokeToken, selectTokensByUser, tokenScopes, type ApiToken } from '../../store/api-tokens.ts';
import { selectSettings } from '../../store/settings.ts';
import { maxTokenDays } from '../account/forms.ts';
import type { WebDeps } from '../deps.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { pageOf, pageQuery, slicePage } from './paging.ts';
import { id, idParams, iso, isoOrNull, line, time } from './shapes.ts';
import { quotaSchema, userBody, userSchema } from './user-shape.ts';

const dayMs = 86_400_000;

const tokenShape = { id, name: z.string(), scope: z.enum(tokenScopes), createdAt: time, expiresAt: time };
const tokenSchema = named('Token', z.strictObject({ ...tokenShape, lastUsedAt: time.nullable() }));
const newTokenSchema = named('NewToken', z.strictObject({ ...tokenShape, token: z.string() }));

const meSchema = named('Me', z.strictObject({ ...userSchema.shape, effectiveQuota: quotaSchema }));
const tokenPage = named('TokenPage', pageOf(tokenSchema));

function tokenBody({ id, name, scope, createdAt, expiresAt, lastUsedAt }: ApiToken): z.input<typeof tokenSchema> {
  return { id, name, scope, createdAt: iso(createdAt), expiresAt: iso(expiresAt), lastUsedAt: isoOrNull(lastUsedAt) };
}

export function meEndpoints({ db, clock }: WebDeps): Endpoint[] {
  return [
    endpoint({
      method: 'get', path: '/me', id: 'getMe', access: 'user', scope: 'read', status: 200, summary: say('api.summary.getMe'),
      response: meSchema,
      handler: async ({ user }) => ({ body: { ...userBody(user), effectiveQuota: effectiveQuota(user.quota, (await selectSettings(db)).quota) } }),
    }),
    endpoint({
      method: 'get', path: '/tokens', id: 'listTokens', access: 'user', scope: 'read', status: 200, summary: say('api.summary.listTokens'),
      query: z.strictObject(pageQuery),
      response: tokenPage,
      handler: async ({ user, query }) => ({ body: slicePage((await selectTokensByUser(db, user.id, clock.now())).map(tokenBody), query) }),
    }),
    endpoint({
      method: 'post', path: '/tokens', id: 'createToken', access: 'user', scope: 'session', status: 201, secret: true, summary: say('api.summary.createToken'),
      audit: 'token.create',
      body: z.strictObject({ name: line(1, 80), scope: z.enum(tokenScopes).default('read'), days: z.int().min(1).max(maxTokenDays).default(30) }),
      response: newTokenSchema,
      handler: async ({ user, body: { name, scope, days }, note }) => {
        note({ target: name, detail: `${scope}, ${days} d` });
        const now = clock.now();
        if ((await selectTokensByUser(db, user.id, now)).length >= maxTokensPerUser) throw new AppError('conflict', say('account.too-many-tokens', { max: maxTokensPerUser }));
        const expiresAt = now + days * dayMs;
        const made = await createApiToken(db, { userId: user.id, name, scope, expiresAt }, now);
        return { body: { id: made.id, name, scope, createdAt: iso(now), expiresAt: iso(expiresAt), token: made.secret } };
      },
    }),
    endpoint({
      method: 'delete', path: '/tokens/:id', id: 'revokeToken', access: 'user', scope: 'write', status: 204, summary: say('api.summary.revokeToken'),
      audit: 'token.revoke',
      params: idParams,
      handler: async ({ user, params }) => {
        if (!(await revokeToken(db, user.id, params.id, clock.now()))) throw new AppError('not-found', say('errors.not-found'));
        return { body: undefined };
      },
    }),
  ];
}
