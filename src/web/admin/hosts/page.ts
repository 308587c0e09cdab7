// All that a host's page shows, read from the database alone: a host that is silent slows nothing.
import type { Request, Response } from 'express';
import type { Sentence } from '../../../errors.ts';
import { isComplete } from '../../../model/burn-in.ts';
import { hostLimit, poolLimitGib } from '../../../model/capacity.ts';
import { hostStatus, type Host } from '../../../model/host.ts';
import { firstToEnd, lastDay } from '../../../model/host-check.ts';
import { isStale } from '../../../model/metrics.ts';
import { smallestImage } from '../../../operations/host-burn-in-submit.ts';
import { explainReason, type HostProblem } from '../../../operations/host-problem.ts';
import { selectBurnInsByHost } from '../../../store/burn-ins.ts';
import { selectDiscrepanciesByHost } from '../../../store/discrepancies.ts';
import { selectOptionalHostCheck } from '../../../store/host-checks.ts';
import { selectHostEvents } from '../../../store/host-events.ts';
import { selectHostPools, selectHosts } from '../../../store/hosts.ts';
import { selectImages } from '../../../store/images.ts';
import { selectInstancesPage } from '../../../store/instances.ts';
import { selectLastHostSamples, selectLatestHostSamples } from '../../../store/samples.ts';
import { selectSettings } from '../../../store/settings.ts';
import { selectPoolsByHost } from '../../../store/storage-pools.ts';
import { selectUserNames } from '../../../store/users.ts';
import { loadHostSummary } from '../../charts/cluster.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formatFor } from '../../format.ts';
import { loadRows, rowWords } from '../../monitor/rows.ts';
import { render } from '../../views.ts';
import { loadMaintenance } from '../maintenance/state.ts';
import { virtTypeWishes } from './forms.ts';

export type Text = Readonly<Record<string, string>>;
export type Complaints = Readonly<Record<string, Sentence>>;

export interface HostForm {
  /** as typed; absent: as stored */
  readonly values?: Text | undefined;
  readonly fields?: Complaints;
  readonly problem?: HostProblem | undefined;
}

/** Of a host's instances so many are named on its page; all of them are in the monitor. */
const shownInstances = 50;
const shownEvents = 30;
const shownBurnIns = 10;

export async function renderHost(deps: WebDeps, req: Request, res: Response, host: Host, form: HostForm = {}): Promise<void> {
  const { db, config } = deps;
  const now = deps.clock.now();
  const [settings, load, machines, storage, past, maintenance, summary] = await Promise.all([
    selectSettings(db), loadLoad(deps, host, now), loadMachines(deps, req, host, now), loadStorage(deps, host), loadPast(deps, host), loadMaintenance(db, host), loadHostSummary(deps, req, host),
  ]);
  await render(req, res, 'admin/hosts/host', {
    title: `${contextOf(req).t('hosts.one-title')}: ${host.name}`, scripts: ['/js/live.js', '/js/charts.js'],
    host, status: hostStatus(host), limit: hostLimit(host, settings.overcommit), ...load, ...machines, ...storage, ...past, maintenance, summary,
    poolLimit: (pool: Parameters<typeof poolLimitGib>[0]) => poolLimitGib(pool, settings.overcommit),
    failure: host.state === 'unreachable' && host.reason !== null ? explainReason(host.reason, host.name) : null,
    stale: (at: number | null) => at !== null && isStale(at, now, config.pollIntervalMs), pollIntervalMs: config.pollIntervalMs, virtTypeWishes,
    fields: form.fields ?? {}, problem: form.problem ?? null,
    values: form.values ?? { name: host.name, uri: host.uri, consoleAddress: host.consoleAddress, virtTypeWish: host.virtTypeWish },
  }, form.fields === undefined && form.problem === undefined ? 200 : 422);
}

async function loadLoad({ db }: WebDeps, { subjectId }: Host, now: number) {
  const [latest, last] = await Promise.all([selectLatestHostSamples(db, [subjectId], now), selectLastHostSamples(db, [subjectId], now)]);
  return { sample: latest.get(subjectId) ?? last.get(subjectId) ?? null };
}

async function loadMachines({ db }: WebDeps, req: Request, host: Host, now: number) {
  const { t, language } = contextOf(req);
  const { instances, total } = await selectInstancesPage(db, { page: 1, pageSize: shownInstances, hostId: host.id });
  const [rows, owners] = await Promise.all([loadRows(db, instances, now), selectUserNames(db, [...new Set(instances.map(({ userId }) => userId))])]);
  const fmt = formatFor(language, t);
  return { machines: rows.map((row) => ({ instance: row.instance, words: rowWords(row, t, fmt), owner: owners.get(row.instance.userId) ?? '–' })), machinesInAll: total };
}

async function loadStorage({ db }: WebDeps, host: Host) {
  const [pools, hostPools, hosts, check] = await Promise.all([selectPoolsByHost(db, host.id), selectHostPools(db), selectHosts(db), selectOptionalHostCheck(db, host.id)]);
  const others = hosts.filter(({ id }) => id !== host.id);
  return {
    pools: pools.map((pool) => ({ ...pool, hosts: others.filter(({ id }) => hostPools.get(id)?.has(pool.id) === true) })),
    check: check ?? null, firstCertificate: firstToEnd(check?.certificates ?? []) ?? null, lastDay,
    /** name of a network → hosts whose instances use one of that name */
    networkUsers: new Map(others.map(({ network }) => [network, others.filter((other) => other.network === network).map(({ name }) => name)])),
  };
}

async function loadPast({ db }: WebDeps, host: Host) {
  const [events, burnIns, discrepancies, images, pools] = await Promise.all([
    selectHostEvents(db, host.id, shownEvents), selectBurnInsByHost(db, host.id, shownBurnIns), selectDiscrepanciesByHost(db, host.id), selectImages(db), selectPoolsByHost(db, host.id),
  ]);
  const people = await selectUserNames(db, [...new Set([...events, ...burnIns].flatMap(({ userId }) => userId ?? []))]);
  const here = new Set(pools.map(({ id }) => id));
  return {
    events, burnIns, people, discrepancies, isComplete,
    burnInImages: images.filter((image) => image.enabled && here.has(image.poolId)), smallest: smallestImage(images, pools) ?? null,
  };
}
