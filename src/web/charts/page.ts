// A page of charts, and one chart of it as a file: of whatever subject. What stands in the address decides everything, so
// that a view can be sent to somebody, and works without JavaScript.
import type { Request, Response } from 'express';
import { AppError, say } from '../../errors.ts';
import { isStale } from '../../model/metrics.ts';
import { contextOf } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formatFor } from '../format.ts';
import { render } from '../views.ts';
import { chartCsv, chartFileName } from './csv.ts';
import { drawnPoints, filePoints, firstMeasured, tablePoints, type LoadedChart } from './load.ts';
import { fieldsOf, isAsAsked, rangeNames, rangeOf, rangeQuery, stepsFrom, type TimeRange } from './range.ts';
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
  /** when the newest figures were measured (null: never), and how often they are */
  readonly ages?: readonly { readonly label?: string; readonly at: number | null; readonly everyMs: number }[];
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
    Promise.all(page.charts.map(({ load }) => load(range, drawnPoints, now))),
    asTable?.load(range, tablePoints, now),
  ]);
  const address = addressesOf(page);
  const steps = stepsFrom(range, now);
  const refreshMs = range.name === null ? 0 : Math.max(shortestRefreshMs, loaded[0]?.lines[0]?.values.stepMs ?? 0);
  await render(req, res, 'charts/page', {
    title: page.title, scripts: ['/js/charts.js', '/js/live.js'], pollIntervalMs: deps.config.pollIntervalMs,
    charts: loaded.map((each, index) => chartView(each, page.charts[index]?.title ?? '', range, reader)).map((chart) => ({
      ...chart, table: table !== undefined && chart.key === asTable?.key ? tableView(table, reader) : null,
      tablePath: address(range, { table: chart.key }), csvPath: address(range, { chart: chart.key }, '.csv'), chartPath: address(range),
    })),
    range, asAsked: isAsAsked(req.query, range), typed: fieldsOf(req.query, range), since: await measuredSince(page, loaded, range, now), address, rangePaths: rangeNames.map((name) => ({ name, path: address({ ...range, name }) })),
    steps: { earlier: address(steps.earlier), later: orNull(steps.later, address), closer: orNull(steps.closer, address), wider: orNull(steps.wider, address) },
    hidden: hiddenFields(page), path: page.path, now, refreshMs, ages: agesOf(page, refreshMs, now),
    view: null, ...page.locals,
  });
}

/** Of what moves along. Its figures are as old as they may be between two looks at them. */
function agesOf({ ages = [] }: ChartPage, refreshMs: number, now: number): { label?: string; at: number | null; stale: boolean; oldAfterMs: number }[] {
  if (refreshMs === 0) return [];
  return ages.map(({ everyMs, ...age }) => ({ ...age, stale: age.at !== null && isStale(age.at, now, everyMs), oldAfterMs: 2 * everyMs + refreshMs }));
}

/** When the first figure was measured, where charts begin with a time without any; null: they do not, or are empty. */
async function measuredSince({ charts }: ChartPage, loaded: readonly LoadedChart[], { from, to }: TimeRange, now: number): Promise<number | null> {
  const firsts = loaded.map(firstAt);
  const first = Math.min(...firsts);
  const index = firsts.indexOf(first);
  const stepMs = loaded[index]?.lines[0]?.values.stepMs ?? 0;
  if (first === Number.POSITIVE_INFINITY || first - from <= Math.max((to - from) / 50, 3 * stepMs)) return null;
  // a year's steps are days: this one alone tells the minute
  const finer = await charts[index]?.load({ from: first, to: Math.min(to, first + stepMs), name: null }, drawnPoints, now);
  return finer === undefined ? first : Math.min(Math.max(first, firstAt(finer)), to);
}

function firstAt(chart: LoadedChart): number {
  return chart.lines[0]?.values.at[firstMeasured(chart)] ?? Number.POSITIVE_INFINITY;
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
