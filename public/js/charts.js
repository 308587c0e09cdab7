// Charts with uPlot: a CPU chart per host on the Resource Monitor, and an instance's four charts on its page. Both grow
// with what live.js brings. The same figures stand on the page as text, so a chart is hidden from screen readers.
import uPlot from '/vendor/uplot/uPlot.esm.js';

const stylesheet = document.createElement('link');
stylesheet.rel = 'stylesheet';
stylesheet.href = '/vendor/uplot/uPlot.min.css';
document.head.append(stylesheet);

/** what a chart keeps; older points leave on the left */
const windowMs = 1_800_000;

/** A variable's colour as a canvas takes it: the variable itself may be a mix of others. */
function cssColour(name) {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

function bytesText(value) {
  let unit = 0;
  let scaled = value;
  for (; Math.abs(scaled) >= 1024 && unit < units.length - 1; unit++) scaled /= 1024;
  return `${Math.round(scaled * 10) / 10} ${units[unit]}`;
}

const toMinute = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
const minuteText = new Intl.DateTimeFormat(document.documentElement.lang, toMinute);
const secondText = new Intl.DateTimeFormat(document.documentElement.lang, { ...toMinute, second: '2-digit' });
/** With seconds where ticks are less than a minute apart: the same minute would stand there again and again. */
const timeTexts = (ticks, stepMs) => ticks.map((at) => (stepMs < 60_000 ? secondText : minuteText).format(at));
const numberText = (value) => new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 }).format(value);

/** Longer without a figure than this many usual steps: nothing was measured in between, and no line is drawn there. */
const gapSteps = 2.5;

/** The columns with a row of nothing in every gap in time. Samples only leave out values, not the times at which nobody measured. */
function withGaps(columns) {
  const [times] = columns;
  const steps = times.slice(1).map((at, index) => at - times[index]).sort((a, b) => a - b);
  const longest = gapSteps * (steps[Math.floor(steps.length / 2)] ?? Infinity);
  const before = times.flatMap((at, index) => (index > 0 && at - times[index - 1] > longest ? [index] : []));
  if (before.length === 0) return columns;
  const gaps = new Set(before);
  return columns.map((column, which) => column.flatMap((value, index) => (gaps.has(index) ? [which === 0 ? times[index - 1] + 1 : null, value] : [value])));
}

/** A line chart in `element`. `series`: [{ label, colour }]; `range`: [low, high] or [0, null] to follow the data. */
function lineChart(element, { series, columns, range, text }) {
  const axis = { stroke: () => cssColour('--tblr-secondary'), grid: { stroke: () => cssColour('--tblr-border-color'), width: 1 }, ticks: { show: false } };
  const size = () => ({ width: Math.max(200, element.clientWidth), height: 180 });
  const chart = new uPlot({
    ...size(),
    ms: 1,
    // the card has a margin of its own; on the right there is room for half a time
    padding: [8, 16, 0, 0],
    legend: { show: series.length > 1, live: false },
    cursor: { y: false },
    scales: { x: { time: true }, y: { range: (_chart, _low, high) => [range[0], range[1] ?? Math.max(1, (high ?? 0) * 1.1)] } },
    axes: [{ ...axis, size: 28, space: 80, values: (_chart, ticks, _axis, _space, stepMs) => timeTexts(ticks, stepMs) }, { ...axis, size: 82, values: (_chart, ticks) => ticks.map(text) }],
    series: [{}, ...series.map(({ label, colour }) => ({ label, stroke: () => cssColour(colour), width: 1.5, spanGaps: false, points: { show: false }, value: (_chart, value) => (value == null ? '–' : text(value)) }))],
  }, withGaps(columns), element);
  new ResizeObserver(() => chart.setSize(size())).observe(element);
  new MutationObserver(() => chart.redraw(false)).observe(document.documentElement, { attributeFilter: ['data-bs-theme'] });
  return {
    add(at, values) {
      const last = columns[0].at(-1);
      if (last !== undefined && at <= last) return;
      const first = columns[0].findIndex((time) => time >= at - windowMs);
      columns = columns.map((column, index) => [...(first < 0 ? [] : column.slice(first)), index === 0 ? at : (values[index - 1] ?? null)]);
      chart.setData(withGaps(columns));
    },
  };
}

function hostCharts() {
  for (const element of document.querySelectorAll('[data-cpu-chart]')) {
    const { cpuChart, at, values, label } = element.dataset;
    const chart = lineChart(element, {
      series: [{ label, colour: '--tblr-primary' }],
      columns: [JSON.parse(at), JSON.parse(values)],
      range: [0, 100],
      text: (value) => `${numberText(value)} %`,
    });
    document.addEventListener('live:row', ({ detail }) => {
      if (detail.key === `host:${cpuChart}` && detail.at) chart.add(detail.at, [detail.values.cpuPercent]);
    });
  }
}

/** Names of the columns in samples.json and in live values, by chart. */
const instanceCharts = {
  cpu: { fields: ['cpuPercent'], range: () => [0, 100], text: (value) => `${numberText(value)} %` },
  memory: { fields: ['memoryUsedMib'], range: (data) => [0, data.memoryMib], text: (value) => bytesText(value * 1024 ** 2) },
  disk: { fields: ['diskReadBytesPerSecond', 'diskWriteBytesPerSecond'], range: () => [0, null], text: (value) => `${bytesText(value)}/s` },
  network: { fields: ['networkReceiveBytesPerSecond', 'networkTransmitBytesPerSecond'], range: () => [0, null], text: (value) => `${bytesText(value)}/s` },
};
const colours = ['--tblr-primary', '--tblr-orange'];

/**
 * <div data-instance-charts="/instances/…/samples.json" data-instance="<id>"> with a <div data-chart="cpu|memory|disk|network"
 * data-labels="read|written"> for each chart.
 */
async function showInstanceCharts(box) {
  const response = await fetch(box.dataset.instanceCharts, { headers: { accept: 'application/json' } });
  if (!response.ok) return;
  const data = await response.json();
  for (const element of box.querySelectorAll('[data-chart]')) {
    const kind = instanceCharts[element.dataset.chart];
    const labels = (element.dataset.labels ?? '').split('|');
    const chart = lineChart(element, {
      series: kind.fields.map((field, index) => ({ label: labels[index] ?? field, colour: colours[index] })),
      columns: [data.at, ...kind.fields.map((field) => data[field])],
      range: kind.range(data),
      text: kind.text,
    });
    document.addEventListener('live:row', ({ detail }) => {
      if (detail.key === `instance:${box.dataset.instance}` && detail.at) chart.add(detail.at, kind.fields.map((field) => detail.values[field]));
    });
  }
}

hostCharts();
for (const box of document.querySelectorAll('[data-instance-charts]')) showInstanceCharts(box);
