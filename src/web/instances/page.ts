// The page of one instance: what it is, what is being done with it, what it uses, all that happened to it, and why it is
// where it is.
import type { Instance, InstanceAction } from '../../model/instance.ts';
import { instanceActions, instanceRefuses } from '../../model/instance.ts';
import type { Operation, OperationStep } from '../../model/operation.ts';
import { priceOf } from '../../model/price.ts';
import type { Sentence } from '../../errors.ts';
import type { Db } from '../../store/db.ts';
import { selectOptionalHost } from '../../store/hosts.ts';
import { selectOptionalImage } from '../../store/images.ts';
import { selectInstanceEvents } from '../../store/instance-events.ts';
import { selectOptionalInstancePlacement } from '../../store/instance-placements.ts';
import { loadInstance } from '../../store/instances.ts';
import { selectOperationsByInstance, selectOperationSteps } from '../../store/operations.ts';
import { selectSettings } from '../../store/settings.ts';
import { selectUserNames } from '../../store/users.ts';
import { contextOf, currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formatFor } from '../format.ts';
import { isRowStale, loadRows, rowWords } from '../monitor/rows.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { hostPort } from './host-port.ts';

/** Seconds between two reloads of a page without JavaScript while something is being done. */
const refreshSeconds = 2;

export function showInstance(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { t, language } = contextOf(req);
    const user = currentUser(req);
    const { db } = deps;
    const now = deps.clock.now();
    const instance = await loadInstance(db, user, String(req.params['id']));
    const [settings, image, host, events, placement, [row], work] = await Promise.all([
      selectSettings(db),
      selectOptionalImage(db, instance.imageId),
      instance.hostId === null ? undefined : selectOptionalHost(db, instance.hostId),
      selectInstanceEvents(db, instance.id),
      selectOptionalInstancePlacement(db, instance.id),
      loadRows(db, [instance], now),
      loadWork(db, instance),
    ]);
    if (row === undefined) throw new Error('one instance has one row');
    const people = new Set([instance.userId, ...events.flatMap((event) => event.userId ?? [])]);
    const names = await selectUserNames(db, [...people]);
    await render(req, res, 'instances/show', {
      title: instance.name,
      scripts: ['/js/live.js', '/js/operation.js', '/js/charts.js'],
      refreshSeconds: work.operation === undefined ? 0 : refreshSeconds,
      instance, image, host, events, placement, names, ...work,
      owner: instance.userId === user.id ? undefined : names.get(instance.userId),
      refusals: refusalsOf(instance),
      prices: settings.prices,
      price: priceOf(instance, settings.prices),
      passwordSeconds: settings.console.passwordSeconds,
      consoleAddress: host !== undefined && instance.consolePort !== null ? hostPort(host.consoleAddress, instance.consolePort) : '',
      retryPath: retryPath(instance),
      words: rowWords(row, t, formatFor(language, t)),
      stale: isRowStale(row, now, deps.config.pollIntervalMs),
      pollIntervalMs: deps.config.pollIntervalMs,
    });
  };
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
