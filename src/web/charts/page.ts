// A page of charts, and one chart of it as a file: of whatever subject. What stands in the address decides everything, so
// that a view can be sent to somebody, and works without JavaScript.
import type { Request, Response } from 'express';
import { AppError, say } from '../../errors.ts';
import { contextOf } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formatFor } from '../format.ts';
import { render } from '../views.ts';
import { chartCsv, chartFileName } from './csv.ts';
import { drawnPoints, filePoints, tablePoints, type LoadedChart } from './load.ts';
import { rangeNames, rangeOf, rangeQuery, stepsFrom, type TimeRange } from './range.ts';
import { chartView, tableView, type Reader } from './view.ts';

export interface ChartPage {
  readonly title: string;
  /** where this page is, without parameters; `${path}.csv` gives a chart as a file */
  readonly path: string;
  /** parameters that say what is looked at, beside the time */
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  /** for the name of a file */
  readonly subject: string;
  readonly charts: readonly { readonly key: string; readonly title: string; load(range: TimeRange, points: number, now: number): Promise<LoadedChart> }[];
  /** for the view above the charts: views/charts/page.ejs names them */
  readonly locals: Readonly<Record<string, unknown>>;
}

/** No chart is drawn anew more often; the finest step is 10 s. */
const shortestRefreshMs = 15_000;

export function readerOf(req: Request): Reader {
  const { t, language } = contextOf(req);
  return { t, language, fmt: formatFor(language, t) };
}

export async function showCharts(deps: WebDeps, req: Request, res: Response, page: ChartPage): Promise<void> {
  const now = deps.clock.now();
  const range = rangeOf(req.query, now);
  const reader = readerOf(req);
  const asTable = page.charts.find(({ key }) => key === req.query['table']);
  const [loaded, table] = await Promise.all([
    Promise.all(page.charts.map(async ({ title, load }) => chartView(await load(range, drawnPoints, now), title, range, reader))),
    asTable?.load(range, tablePoints, now),
  ]);
  const address = addressesOf(page);
  const steps = stepsFrom(range, now);
  await render(req, res, 'charts/page', {
    title: page.title, scripts: ['/js/charts.js', '/js/live.js'], pollIntervalMs: deps.config.pollIntervalMs,
    charts: loaded.map((chart) => ({
      ...chart, table: table !== undefined && chart.key === asTable?.key ? tableView(table, reader) : null,
      tablePath: address(range, { table: chart.key }), csvPath: address(range, { chart: chart.key }, '.csv'), chartPath: address(range),
    })),
    range, address, rangePaths: rangeNames.map((name) => ({ name, path: address({ ...range, name }) })),
    steps: { earlier: address(steps.earlier), later: orNull(steps.later, address), closer: orNull(steps.closer, address), wider: orNull(steps.wider, address) },
    hidden: hiddenFields(page), path: page.path, refreshMs: range.name === null ? 0 : Math.max(shortestRefreshMs, loaded[0]?.stepMs ?? 0),
    view: null, ...page.locals,
  });
}

function orNull(range: TimeRange | null, address: (range: TimeRange) => string): string | null {
  return range === null ? null : address(range);
}

/** Addresses of this page at another time, or as something else. */
export function addressesOf({ path, query }: Pick<ChartPage, 'path' | 'query'>): (range: TimeRange, more?: Readonly<Record<string, string>>, ending?: string) => string {
  return (range, more = {}, ending = '') => {
    const params = new URLSearchParams();
    for (const [name, values] of Object.entries(query)) for (const value of [values].flat()) params.append(name, value);
    for (const [name, value] of Object.entries({ ...rangeQuery(range), ...more })) params.append(name, value);
    return `${path}${ending}?${params.toString()}`;
  };
}

function hiddenFields({ query }: ChartPage): { name: string; value: string }[] {
  return Object.entries(query).flatMap(([name, values]) => [values].flat().map((value) => ({ name, value })));
}

/** GET: one chart's figures, finer than it is drawn. */
export async function sendChartFile(deps: WebDeps, req: Request, res: Response, page: ChartPage): Promise<void> {
  const chart = page.charts.find(({ key }) => key === (req.query['chart'] ?? page.charts[0]?.key));
  if (chart === undefined) throw new AppError('not-found', say('errors.page-not-found'));
  const now = deps.clock.now();
  const range = rangeOf(req.query, now);
  const loaded = await chart.load(range, filePoints, now);
  res.status(200).type('text/csv; charset=utf-8').set('Content-Disposition', `attachment; filename="${chartFileName(page.subject, chart.key, range)}"`).send(chartCsv(loaded));
}
