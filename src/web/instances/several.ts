// Something done with several machines at once, as chosen in the VM Monitor. What loses something is shown on a page of its own
// first. Each machine is asked for by itself, as if by its own button: one that refuses keeps none of the others.
import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import { AppError, say, type Sentence } from '../../errors.ts';
import { instanceCan, instanceRefuses, type Instance } from '../../model/instance.ts';
import type { User } from '../../model/user.ts';
import { powerActions, submitInstanceAction, type PowerAction } from '../../operations/instance-action.ts';
import { loadInstances } from '../../store/instances.ts';
import { selectUserNames } from '../../store/users.ts';
import { contextOf, currentUser, flash } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { chosenIds, formText } from '../forms.ts';
import { noteAudit } from '../middleware/guard.ts';
import { listFields, listPath, pageSize, readListQuery, type ListQuery } from '../monitor/list-query.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { asking } from './actions.ts';

interface Chosen {
  readonly instances: readonly Instance[];
  /** ids of which there is nothing, or nothing of this person's */
  readonly missing: number;
  /** where they were chosen */
  readonly list: ListQuery;
}

export function runSeveral(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = currentUser(req);
    const text = formText(req.body);
    const ids = chosenIds(req.body);
    const list = readListQuery(text, user.role);
    if (ids.length > pageSize) throw new AppError('invalid', say('instances.several.too-many', { max: pageSize }));
    // Enter in a box: the same list again, as it was ticked
    if (text['action'] === undefined) return res.redirect(303, listPath(list, ids));
    const action = actionOf(text['action'], user);
    const instances = await loadInstances(deps.db, user, ids);
    const chosen = { instances, missing: ids.length - instances.length, list };
    noteAudit(req, { target: namesOf(instances), detail: `${action}: not begun` });

    if (instances.length === 0) {
      flash(req, 'error', ids.length === 0 ? say('instances.several.none-chosen') : say('instances.several.missing', { n: ids.length }));
      return res.redirect(303, listPath(list));
    }
    if (action === 'move') return res.redirect(303, `${paths.adminPage('moves')}/new?${instances.map(({ id }) => `instance=${id}`).join('&')}`);
    if (asking.includes(action) && text['sure'] !== 'yes') return ask(deps, req, res, action, chosen);
    await begin(deps, req, action, chosen);
    res.redirect(303, listPath(list));
  };
}

/** Moves have pages of their own, for administrators. */
function actionOf(name: unknown, user: User): PowerAction | 'move' {
  const action = [...powerActions, ...(user.role === 'admin' ? ['move' as const] : [])].find((each) => each === name);
  if (action === undefined) throw new AppError('not-found', say('errors.page-not-found'));
  return action;
}

/** What will be lost of which machines, those that are left out and why, and the button that does it. */
async function ask(deps: WebDeps, req: Request, res: Response, action: PowerAction, { instances, missing, list }: Chosen): Promise<void> {
  const { t } = contextOf(req);
  const can = instances.filter((instance) => instanceCan(action, instance));
  const cannot = instances.flatMap((instance) => {
    const why = instanceRefuses(action, instance);
    return why === undefined ? [] : [{ instance, why }];
  });
  await render(req, res, 'instances/several', {
    title: can.length === 0 ? t('instances.several.none-can', { action: t(`instances.action.${action}`) }) : t(`instances.several.${action}`, { n: can.length }),
    action, can, cannot, missing, fields: listFields(list), back: listPath(list, instances.map(({ id }) => id)),
    owners: list.all ? await selectUserNames(deps.db, [...new Set(instances.map(({ userId }) => userId))]) : null,
  });
}

interface Refused { readonly name: string; readonly why: string }

async function begin(deps: WebDeps, req: Request, action: PowerAction, { instances, missing }: Chosen): Promise<void> {
  const { say: inWords } = contextOf(req);
  const begun: Instance[] = [];
  const refused: Refused[] = [];
  for (const instance of instances) {
    try {
      await submitInstanceAction(deps.operations, { action, instance, actor: currentUser(req) });
      begun.push(instance);
    } catch (error) {
      refused.push({ name: instance.name, why: inWords(reasonOf(deps, instance, error)) });
    }
    // also for a portal that is killed in between
    noteAudit(req, { detail: `${action}: begun ${namesOf(begun) || '–'}${refused.length === 0 ? '' : `; refused ${namesOf(refused)}`}` });
  }
  if (begun.length > 0) flash(req, 'success', say('instances.several.begun', { action: `$instances.action.${action}`, n: begun.length, all: instances.length + missing }));
  if (missing > 0) flash(req, 'error', say('instances.several.missing', { n: missing }));
  tellRefusals(req, refused);
}

function reasonOf(deps: WebDeps, instance: Instance, error: unknown): Sentence {
  if (error instanceof AppError) {
    // it would be waited for once more for each of the others; what is begun is refused as busy when this is sent again
    if (error.sentence.key === 'errors.database-unavailable') throw error;
    return error.sentence;
  }
  const reference = randomUUID();
  deps.log.error({ err: error, instanceId: instance.id, reference }, 'an action on one of several instances failed by a bug');
  return say('errors.bug', { reference });
}

/** A session keeps five sentences: one for what was begun, one for what is missing, and these, by reason. */
const maxReasons = 2;
/** In all of them. More: the page begins with a wall of names. */
const maxNames = 10;

function tellRefusals(req: Request, refused: readonly Refused[]): void {
  const byReason = new Map<string, string[]>();
  for (const { name, why } of refused) byReason.set(why, [...(byReason.get(why) ?? []), name]);
  const told = [...byReason].slice(0, maxReasons);
  for (const [why, names] of told) {
    const named = names.slice(0, maxNames / told.length);
    const more = names.length - named.length;
    const list = named.join(', ');
    flash(req, 'error', more === 0 ? say('instances.several.refused', { names: list, why }) : say('instances.several.refused-more', { names: list, n: more, why }));
  }
  const others = [...byReason.values()].slice(maxReasons).flat().length;
  if (others > 0) flash(req, 'error', say('instances.several.refused-others', { n: others }));
}

function namesOf(machines: readonly { readonly name: string }[]): string {
  return machines.map(({ name }) => name).join(' ');
}
