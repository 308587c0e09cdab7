// Moves that balancing suggests, for admins: to look at, to take up, to turn down.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import { applySuggestion } from '../../operations/balancing.ts';
import { selectHostPlaces } from '../../store/hosts.ts';
import { selectInstancesByIds } from '../../store/instances.ts';
import { claimSuggestionEnded, selectOpenSuggestions, selectOptionalSuggestion, type Suggestion } from '../../store/suggestions.ts';
import type { Context } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { moveBody, moveSchema } from './moves.ts';
import { named } from './openapi.ts';
import { pageOf, pageQuery, slicePage } from './paging.ts';
import { id, idParams, iso, place, time } from './shapes.ts';

const suggestionSchema = named('Suggestion', z.strictObject({
  id, instance: place, from: place, to: place, why: z.string(),
  /** points of load by which the two hosts come closer */
  gainPercent: z.number(), createdAt: time,
}));
const suggestionPage = named('SuggestionPage', pageOf(suggestionSchema));

export function suggestionEndpoints(deps: WebDeps): Endpoint[] {
  const { db, clock } = deps;
  return [
    endpoint({
      method: 'get', path: '/suggestions', id: 'listSuggestions', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.listSuggestions'),
      query: z.strictObject(pageQuery),
      response: suggestionPage,
      handler: async ({ query, context }) => {
        const page = slicePage(await selectOpenSuggestions(db), query);
        return { body: { ...page, items: await bodies(deps, page.items, context) } };
      },
    }),
    endpoint({
      method: 'post', path: '/suggestions/:id/apply', id: 'applySuggestion', access: 'admin', scope: 'write', status: 202, summary: say('api.summary.applySuggestion'),
      audit: 'suggestion.apply',
      params: idParams,
      response: moveSchema,
      handler: async ({ params, user, context, note, newId }) => {
        const { move, instance } = await applySuggestion(deps.operations, await loadSuggestion(deps, params.id), user, newId);
        note({ target: instance.name, detail: move.toHostName });
        return { body: moveBody(move, context), location: `${paths.api}/moves/${move.id}` };
      },
    }),
    endpoint({
      method: 'post', path: '/suggestions/:id/dismiss', id: 'dismissSuggestion', access: 'admin', scope: 'write', status: 204, summary: say('api.summary.dismissSuggestion'),
      audit: 'suggestion.dismiss',
      params: idParams,
      handler: async ({ params }) => {
        const suggestion = await loadSuggestion(deps, params.id);
        if (!(await claimSuggestionEnded(db, suggestion.id, 'dismissed', clock.now()))) throw new AppError('conflict', say('balancing.decided'));
        return { body: undefined };
      },
    }),
  ];
}

async function loadSuggestion({ db }: WebDeps, suggestionId: string): Promise<Suggestion> {
  const suggestion = await selectOptionalSuggestion(db, suggestionId);
  if (suggestion === undefined) throw new AppError('not-found', say('errors.not-found'));
  return suggestion;
}

async function bodies({ db }: WebDeps, suggestions: readonly Suggestion[], context: Context): Promise<z.input<typeof suggestionSchema>[]> {
  const [hosts, instances] = await Promise.all([selectHostPlaces(db), selectInstancesByIds(db, suggestions.map(({ instanceId }) => instanceId))]);
  const names = new Map([...[...hosts].map(([hostId, { name }]): [string, string] => [hostId, name]), ...instances.map((instance): [string, string] => [instance.id, instance.name])]);
  // what is gone has no name any more: the next round forgets the suggestion
  const placeOf = (each: string): z.input<typeof place> => ({ id: each, name: names.get(each) ?? '' });
  return suggestions.map(({ id: suggestionId, instanceId, fromHostId, toHostId, why, gainPercent, createdAt }) => ({
    id: suggestionId, instance: placeOf(instanceId), from: placeOf(fromHostId), to: placeOf(toHostId), why: context.say(why), gainPercent, createdAt: iso(createdAt),
  }));
}
