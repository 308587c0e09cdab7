// The page of one instance: what it is, what is being done with it, where it has been, what it uses, all that happened to
// it, and why it is where it is.
import type { Request, Response } from 'express';
import {
  haPriorities, haPriorityNames, instanceActions, instanceRefuses, isChangingHosts, mayGivePriority, type HaPriority, type Instance, type InstanceAction,
} from '../../model/instance.ts';
import { hostStatus, type Host } from '../../model/host.ts';
import { movePercent, type Move } from '../../model/move.ts';
import { mayCancel, type Operation, type OperationStep } from '../../model/operation.ts';
import { priceOf } from '../../model/price.ts';
import type { Settings } from '../../model/settings.ts';
import type { User } from '../../model/user.ts';
import { say, type Sentence } from '../../errors.ts';
import type { Db } from '../../store/db.ts';
import { selectOptionalHost } from '../../store/hosts.ts';
import { selectOptionalImage } from '../../store/images.ts';
import { selectInstanceEvents } from '../../store/instance-events.ts';
import { loadInstance } from '../../store/instances.ts';
import { selectMovesByInstance } from '../../store/moves.ts';
import { selectOperationsByInstance, selectOperationSteps } from '../../store/operations.ts';
import { selectSettings } from '../../store/settings.ts';
import { selectOptionalPool } from '../../store/storage-pools.ts';
import { selectUserNames } from '../../store/users.ts';
import { loadMoveForm } from '../admin/moves/form.ts';
import { loadInstanceSummary } from '../charts/instance.ts';
import { contextOf, currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formatFor } from '../format.ts';
import { isRowStale, loadRows, rowWords } from '../monitor/rows.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render, renderFragment } from '../views.ts';
import { diaryOf } from './diary.ts';
import { hostPort } from './host-port.ts';
import { haNote, optionsText } from './options-form.ts';
import { loadWhyHere } from './why-here.ts';

/** Seconds between two reloads of a page without JavaScript while something is being done. */
const refreshSeconds = 2;

export function showInstance(deps: WebDeps): Route['handler'] {
  return async (req, res) => renderInstance(deps, req, res, await loadInstance(deps.db, currentUser(req), String(req.params['id'])));
}

/** What was typed into the options' form and cannot be taken. */
export interface RefusedOptions {
  readonly text: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, Sentence>>;
}

export async function renderInstance(deps: WebDeps, req: Request, res: Response, instance: Instance, refused?: RefusedOptions): Promise<void> {
  const { t, language } = contextOf(req);
  const user = currentUser(req);
  const { db } = deps;
  const now = deps.clock.now();
  const [settings, image, host, pool, events, whyHere, moves, [row], work, summary] = await Promise.all([
    selectSettings(db),
    selectOptionalImage(db, instance.imageId),
    instance.hostId === null ? undefined : selectOptionalHost(db, instance.hostId),
    instance.poolId === null ? undefined : selectOptionalPool(db, instance.poolId),
    selectInstanceEvents(db, instance.id),
    loadWhyHere(db, instance),
    selectMovesByInstance(db, instance.id),
    loadRows(db, [instance], now),
    loadWork(db, instance),
    loadInstanceSummary(deps, req, instance),
  ]);
  if (row === undefined) throw new Error('one instance has one row');
  const diary = diaryOf(events, moves);
  const names = await selectUserNames(db, [...new Set([instance.userId, ...diary.flatMap((line) => line.userId ?? [])])]);
  await render(req, res, 'instances/show', {
    title: instance.name,
    scripts: ['/js/live.js', '/js/operation.js', '/js/charts.js'],
    refreshSeconds: work.operation === undefined ? 0 : refreshSeconds,
    instance, image, host, diary, whyHere, names, ...work, summary, detailAt: row.sample?.detailAt ?? null,
    move: openMove(instance, moves), movePercent, mayCancel,
    moveForm: user.role === 'admin' ? await loadMoveForm(db, instance) : undefined,
    trouble: troubleOf(instance, host, settings),
    owner: instance.userId === user.id ? undefined : names.get(instance.userId),
    refusals: refusalsOf(instance),
    options: refused?.text ?? optionsText(instance), optionErrors: refused?.fields ?? {}, priorities: prioritiesFor(user, instance), haNote: haNote(settings, pool),
    prices: settings.prices,
    price: priceOf(instance, settings.prices),
    passwordSeconds: settings.console.passwordSeconds,
    consoleAddress: host !== undefined && instance.consolePort !== null ? hostPort(host.consoleAddress, instance.consolePort) : '',
    retryPath: retryPath(instance),
    words: rowWords(row, t, formatFor(language, t)),
    stale: isRowStale(row, now, deps.config.pollIntervalMs),
    pollIntervalMs: deps.config.pollIntervalMs,
  }, refused === undefined ? 200 : 422);
}

/** GET: how far its move is, alone, for the page's script. */
export function showMoveProgress(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const instance = await loadInstance(deps.db, currentUser(req), String(req.params['id']));
    const move = openMove(instance, await selectMovesByInstance(deps.db, instance.id, 1));
    await renderFragment(req, res, 'instances/moving-progress', { instance, move, movePercent, ended: !isChangingHosts(instance) });
  };
}

/** The move that holds it now. */
function openMove(instance: Instance, moves: readonly Move[]): Move | undefined {
  return isChangingHosts(instance) ? moves.find((move) => move.id === instance.operationId) : undefined;
}

/** What its host's trouble means for it, and what is going to happen. */
export function troubleOf(instance: Instance, host: Host | undefined, { availability }: Pick<Settings, 'availability'>): Sentence | undefined {
  if (host === undefined || instance.operationId !== null || instance.state === 'failed' || instance.state === 'lost') return undefined;
  const status = hostStatus(host);
  const isOn = instance.state !== 'stopped';
  if (status === 'fenced') return say(isOn && instance.ha && availability.enabled ? 'instances.trouble.fenced-ha' : 'instances.trouble.fenced', { host: host.name });
  if (status === 'unreachable' && isOn) return say(instance.ha && availability.enabled ? 'instances.trouble.silent-ha' : 'instances.trouble.silent', { host: host.name });
  if (status === 'unreachable') return say('instances.trouble.silent-off', { host: host.name });
  if (status === 'maintenance' && !isOn) return say('instances.trouble.maintenance-off', { host: host.name });
  return undefined;
}

/** The turns that this person may choose from. */
export function prioritiesFor(user: Pick<User, 'role'>, instance?: Pick<Instance, 'haPriority'>): { readonly value: HaPriority; readonly name: string }[] {
  return haPriorities.filter((value) => mayGivePriority(user.role, value, instance?.haPriority ?? null)).map((value) => ({ value, name: haPriorityNames[value] }));
}

export function refusalsOf(instance: Instance): Partial<Record<InstanceAction, Sentence>> {
  return Object.fromEntries(instanceActions.flatMap((action) => {
    const refusal = instanceRefuses(action, instance);
    return refusal === undefined ? [] : [[action, refusal]];
  }));
}

interface Work {
  /** what holds the instance now */
  readonly operation: Operation | undefined;
  readonly steps: readonly OperationStep[];
  /** the guest did not react to its power button: words for it, until something else is done */
  readonly stubbornGuest: Sentence | undefined;
}

async function loadWork(db: Db, instance: Instance): Promise<Work> {
  const [last] = await selectOperationsByInstance(db, instance.id, 1);
  if (last === undefined) return { operation: undefined, steps: [], stubbornGuest: undefined };
  if (instance.operationId === last.id) return { operation: last, steps: await selectOperationSteps(db, last.id), stubbornGuest: undefined };
  const ignored = last.state === 'failed' && (last.kind === 'instance-shutdown' || last.kind === 'instance-reboot') && instance.state === 'running';
  return { operation: undefined, steps: [], stubbornGuest: ignored ? (last.error ?? undefined) : undefined };
}

/** The wizard again, with what a failed instance was asked for. */
function retryPath(instance: Instance): string {
  const { imageId, vcpus, memoryMib, diskGib } = instance;
  return `${paths.newInstance}?${new URLSearchParams({ imageId, vcpus: String(vcpus), memoryMib: String(memoryMib), diskGib: String(diskGib) }).toString()}`;
}
