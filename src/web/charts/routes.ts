import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { clusterPage, comparePage, hostPage, machinePage, sendChartOf, showChartsOf } from './cluster.ts';
import { sendInstanceChart, showInstanceCharts } from './instance.ts';

export function chartRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/instances/:id/charts', access: 'user', handler: showInstanceCharts(deps) },
    { method: 'get', path: '/instances/:id/charts.csv', access: 'user', handler: sendInstanceChart(deps) },
    { method: 'get', path: paths.resourceCharts, access: 'user', handler: showChartsOf(clusterPage)(deps) },
    { method: 'get', path: `${paths.resourceCharts}.csv`, access: 'user', handler: sendChartOf(clusterPage)(deps) },
    { method: 'get', path: '/admin/hosts/:id/charts', access: 'admin', handler: showChartsOf(hostPage)(deps) },
    { method: 'get', path: '/admin/hosts/:id/charts.csv', access: 'admin', handler: sendChartOf(hostPage)(deps) },
    { method: 'get', path: '/admin/compare', access: 'admin', handler: showChartsOf(comparePage)(deps) },
    { method: 'get', path: '/admin/compare.csv', access: 'admin', handler: sendChartOf(comparePage)(deps) },
    { method: 'get', path: '/admin/machine', access: 'admin', handler: showChartsOf(machinePage)(deps) },
    { method: 'get', path: '/admin/machine.csv', access: 'admin', handler: sendChartOf(machinePage)(deps) },
  ];
}
