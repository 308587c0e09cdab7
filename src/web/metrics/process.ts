// This portal's own process, by the names that Prometheus' client libraries have agreed on.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { counter, gauge, labelsOf, type Family } from './exposition.ts';

/** Between two looks at the event loop; node counts it into each delay. */
const resolutionMs = 10;

/** Starts measuring the event loop; what it gives is since the last call. */
export function createProcessFigures(): () => Family[] {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  const startedAt = Date.now() / 1000 - process.uptime();
  return () => {
    const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    const lag = (percentile: number): number | null => (delay.count === 0 ? null : Math.max(0, delay.percentile(percentile) / 1e9 - resolutionMs / 1000));
    const [p50, p99, max] = [lag(50), lag(99), lag(100)];
    delay.reset();
    return [
      counter('process_cpu_seconds_total', 'CPU time of this portal.', [['', (user + system) / 1e6]]),
      gauge('process_resident_memory_bytes', 'Memory of this portal.', [['', rss]]),
      gauge('process_start_time_seconds', 'When this portal started, seconds since 1970.', [['', startedAt]]),
      gauge('nodejs_heap_size_total_bytes', 'JavaScript heap.', [['', heapTotal]]),
      gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.', [['', heapUsed]]),
      gauge('nodejs_external_memory_bytes', 'Memory outside of the JavaScript heap.', [['', external]]),
      gauge('nodejs_eventloop_lag_p50_seconds', 'Half of the turns of the event loop since the last look were late by less.', [['', p50]]),
      gauge('nodejs_eventloop_lag_p99_seconds', '99 of 100 turns of the event loop since the last look were late by less.', [['', p99]]),
      gauge('nodejs_eventloop_lag_max_seconds', 'The latest turn of the event loop since the last look.', [['', max]]),
      gauge('nodejs_version_info', 'Version of Node.js.', [[labelsOf({ version: process.version }), 1]]),
    ];
  };
}
