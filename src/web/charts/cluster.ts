// Charts of all hosts together, for everybody who is logged in; of one host, and of several beside each other, for admins; and
// of the machines that the portals themselves run on.
import type { Request } from 'express';
import type { Host } from '../../model/host.ts';
import { clusterOwnerId, metrics, type MetricName } from '../../model/metric.ts';
import { selectHost, selectHostNames } from '../../store/hosts.ts';
import { selectPortals } from '../../store/portals.ts';
import { selectOptionalSampleSubject } from '../../store/sample-subjects.ts';
import { selectLastHostSamples } from '../../store/samples.ts';
import { itemId } from '../admin/item-id.ts';
import { contextOf } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { clusterCharts, compared, hostCharts, portalCharts, type ChartDefinition } from './definitions.ts';
import { drawnPoints, loadChart, loadComparison, type ComparedHost } from './load.ts';
import { addressesOf, readerOf, sendChartFile, showCharts, type ChartPage } from './page.ts';
import { rangeOf } from './range.ts';
import { chartView, type ChartView } from './view.ts';

type PageOf = (deps: WebDeps, req: Request) => Promise<ChartPage>;

export const showChartsOf = (pageOf: PageOf) => (deps: WebDeps): Route['handler'] => async (req, res) => showCharts(deps, req, res, await pageOf(deps, req));
export const sendChartOf = (pageOf: PageOf) => (deps: WebDeps): Route['handler'] => async (req, res) => sendChartFile(deps, req, res, await pageOf(deps, req));

/** A subject that was never measured has no number: its charts are empty. */
const nobody = 0;

function chartsOf({ db }: WebDeps, req: Request, definitions: readonly ChartDefinition[], area: string, subjectId: number): ChartPage['charts'] {
  const { t } = contextOf(req);
  return definitions.map((definition) => ({
    key: definition.key, title: t(`charts.${area}.${definition.key}`),
    load: (range, points, now) => loadChart(db, definition, { subjectId, memoryMib: null, device: null }, range, points, now),
  }));
}

async function agesOf({ db, clock, config }: WebDeps, subjectId: number): Promise<NonNullable<ChartPage['ages']>> {
  const at = (await selectLastHostSamples(db, [subjectId], clock.now())).get(subjectId)?.at ?? null;
  return [{ at, everyMs: config.pollIntervalMs }];
}

export const clusterPage: PageOf = async (deps, req) => {
  const { t } = contextOf(req);
  const subjectId = (await selectOptionalSampleSubject(deps.db, clusterOwnerId)) ?? nobody;
  return {
    title: t('charts.cluster.title'), path: paths.resourceCharts, query: {}, subject: 'cluster', charts: chartsOf(deps, req, clusterCharts, 'cluster', subjectId),
    ages: await agesOf(deps, subjectId), locals: { back: { path: paths.resources, label: t('resources.title') } },
  };
};

/** Charts on another page: the last hour. */
async function summaryOf(deps: WebDeps, req: Request, definitions: readonly ChartDefinition[], area: string, subjectId: number, path: string): Promise<Summary> {
  const now = deps.clock.now();
  const range = rangeOf({}, now);
  const charts = await Promise.all(chartsOf(deps, req, definitions, area, subjectId).map(async ({ title, load }) => chartView(await load(range, drawnPoints, now), title, range, readerOf(req))));
  return { charts, chartsPath: addressesOf({ path, query: {} })(range) };
}

export interface Summary { readonly charts: readonly ChartView[]; readonly chartsPath: string }

/** The cluster's, on the Resource Monitor. */
export async function loadClusterSummary(deps: WebDeps, req: Request): Promise<Summary> {
  return summaryOf(deps, req, clusterCharts, 'cluster', (await selectOptionalSampleSubject(deps.db, clusterOwnerId)) ?? nobody, paths.resourceCharts);
}

/** A host's, on its page. */
export function loadHostSummary(deps: WebDeps, req: Request, host: Pick<Host, 'id' | 'subjectId'>): Promise<Summary> {
  return summaryOf(deps, req, hostCharts.slice(0, 1), 'host', host.subjectId, `${paths.adminItem('hosts', host.id)}/charts`);
}

export const hostPage: PageOf = async (deps, req) => {
  const { t } = contextOf(req);
  const host = await selectHost(deps.db, itemId(req));
  return {
    title: t('charts.title', { name: host.name }), path: `${paths.adminItem('hosts', host.id)}/charts`, query: {}, subject: host.name,
    charts: chartsOf(deps, req, hostCharts, 'host', host.subjectId), ages: await agesOf(deps, host.subjectId),
    locals: { back: { path: paths.adminItem('hosts', host.id), label: host.name }, comparePath: `${paths.adminPage('compare')}?host=${host.id}` },
  };
};

/** Of each portal's machine, by systeminformation. */
export const machinePage: PageOf = async (deps, req) => {
  const { t } = contextOf(req);
  const portals = await selectPortals(deps.db);
  const portal = portals.find(({ id }) => id === req.query['portal']) ?? portals[0];
  const subjectId = portal === undefined ? nobody : ((await selectOptionalSampleSubject(deps.db, portal.id)) ?? nobody);
  return {
    title: t('charts.machine.title', { name: portal?.name ?? '–' }), path: paths.adminPage('machine'), query: portal === undefined ? {} : { portal: portal.id }, subject: portal?.name ?? 'portal',
    charts: chartsOf(deps, req, portalCharts, 'host', subjectId), ages: await agesOf(deps, subjectId),
    locals: { portals, portalId: portal?.id ?? null },
  };
};

/** As many lines as one tells apart. */
const mostCompared = 8;
/** Of a host; the form takes no longer one. */
const longestName = 64;

export const comparePage: PageOf = async (deps, req) => {
  const { t } = contextOf(req);
  const names = await selectHostNames(deps.db);
  const metric: MetricName = compared.find((name) => name === req.query['metric']) ?? 'host.cpu';
  const hosts = askedHosts(req, names);
  const added = typeof req.query['add'] === 'string' ? req.query['add'].trim().slice(0, longestName) : '';
  return {
    title: t('charts.compare.title'), path: paths.adminPage('compare'), query: { metric, host: hosts.map(({ id }) => id) }, subject: 'hosts',
    charts: [{
      key: metric.slice('host.'.length), title: t(`charts.series.${metric}`),
      load: (range, points, now) => loadComparison(deps.db, hosts, metric, metrics[metric].unit, range, points, now),
    }],
    locals: {
      compared, metric, hosts, mostCompared, unknown: added === '' || names.some(({ id, name }) => id === added || name === added) ? null : added,
      others: names.filter((name) => !hosts.includes(name)), back: { path: paths.adminPage('hosts'), label: t('hosts.title') },
    },
  };
};

/** By id, or by name as it is typed into the form; each once. */
function askedHosts(req: Request, all: readonly ComparedHost[]): ComparedHost[] {
  const asked = new Set([req.query['host'], req.query['add']].flat().filter((value) => typeof value === 'string').map((value) => value.trim()));
  return [...asked].flatMap((value) => all.find(({ id, name }) => id === value || name === value) ?? []).filter((host, index, list) => list.indexOf(host) === index).slice(0, mostCompared);
}
