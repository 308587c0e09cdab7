// A small chart of a host's CPU load by the minute, where many hosts are on one page.
import type { Host } from '../../model/host.ts';
import { chartView, type ChartView, type Reader } from './view.ts';

const minuteMs = 60_000;

export function minuteChart(host: Pick<Host, 'id' | 'name'>, points: readonly { readonly at: number; readonly cpuPercent: number }[], { from, to }: { readonly from: number; readonly to: number }, reader: Reader): ChartView {
  const first = Math.floor(from / minuteMs) * minuteMs;
  const byMinute = new Map(points.map((point) => [point.at, point.cpuPercent]));
  const at = Array.from({ length: Math.ceil((to - first) / minuteMs) }, (_, index) => first + index * minuteMs);
  const avg = at.map((each) => byMinute.get(each) ?? null);
  const values = { stepMs: minuteMs, at, avg, min: avg, max: avg };
  const chart = { key: `host-${host.id}`, unit: 'percent', top: 100, stacked: [], lines: [{ name: 'cpu', label: { key: 'charts.series.host.cpu' }, values }] } as const;
  return chartView(chart, `${reader.t('resources.cpu')}: ${host.name}`, { from, to, name: null }, reader);
}
