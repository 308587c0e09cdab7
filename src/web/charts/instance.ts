// Charts of one instance, for its owner and admins.
import type { Request } from 'express';
import type { Instance } from '../../model/instance.ts';
import { selectSampleDevices, type SampleDevice } from '../../store/device-samples.ts';
import { loadInstance } from '../../store/instances.ts';
import { contextOf, currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { loadRows } from '../monitor/rows.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { instanceCharts, instanceSummary } from './definitions.ts';
import { drawnPoints, loadChart, type ChartSource } from './load.ts';
import { addressesOf, readerOf, sendChartFile, showCharts, type ChartPage } from './page.ts';
import { rangeOf } from './range.ts';
import { chartView, type ChartView } from './view.ts';

export function showInstanceCharts(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const instance = await loadInstance(deps.db, currentUser(req), String(req.params['id']));
    await showCharts(deps, req, res, await pageOf(deps, req, instance));
  };
}

export function sendInstanceChart(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const instance = await loadInstance(deps.db, currentUser(req), String(req.params['id']));
    await sendChartFile(deps, req, res, await pageOf(deps, req, instance));
  };
}

/** The four charts on the instance's own page: the last hour. */
export async function loadInstanceSummary({ db, clock }: WebDeps, req: Request, instance: Instance): Promise<{ charts: ChartView[]; chartsPath: string }> {
  const now = clock.now();
  const range = rangeOf({}, now);
  const reader = readerOf(req);
  const source = { subjectId: instance.subjectId, memoryMib: instance.memoryMib, device: null };
  const charts = await Promise.all(instanceSummary.map(async (definition) =>
    chartView(await loadChart(db, definition, source, range, drawnPoints, now), reader.t(`charts.instance.${definition.key}`), range, reader)));
  return { charts, chartsPath: addressesOf({ path: paths.instanceCharts(instance.id), query: {} })(range) };
}

async function pageOf({ db, clock, config }: WebDeps, req: Request, instance: Instance): Promise<ChartPage> {
  const { t } = contextOf(req);
  const now = clock.now();
  const [devices, [row]] = await Promise.all([selectSampleDevices(db, instance.subjectId), loadRows(db, [instance], now)]);
  const choices = severalOfAKind(devices);
  const device = choices.find((each) => each.name === req.query['device']) ?? null;
  const source: ChartSource = { subjectId: instance.subjectId, memoryMib: instance.memoryMib, device };
  return {
    title: t('charts.title', { name: instance.name }), path: paths.instanceCharts(instance.id), query: device === null ? {} : { device: device.name }, subject: instance.name,
    charts: instanceCharts.map((definition) => ({
      key: definition.key,
      title: `${t(`charts.instance.${definition.key}`)}${device !== null && definition.device?.kind === device.kind ? ` (${device.name})` : ''}`,
      load: (range, points, at) => loadChart(db, definition, source, range, points, at),
    })),
    ages: [
      { at: row?.sample?.at ?? null, everyMs: config.pollIntervalMs },
      ...(row?.sample?.detailAt ? [{ label: t('charts.detail-age'), at: row.sample.detailAt, everyMs: config.detailIntervalMs }] : []),
    ],
    locals: { back: { path: paths.instance(instance.id), label: instance.name }, devices: choices, device },
  };
}

/** Of a single disk the instance's own charts are it. */
function severalOfAKind(devices: readonly SampleDevice[]): SampleDevice[] {
  return devices.filter(({ kind }) => devices.filter((other) => other.kind === kind).length > 1);
}
