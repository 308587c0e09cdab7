// Makes the server's charts ones that can be walked through: a pointer or the arrow keys read out values, dragging and + and − zoom, and what
// ends now moves along. Every view of them is an address: here only the page is not loaded anew. Times are put into the reader's time zone.
import { localTimes } from './app.js';

const box = () => document.querySelector('[data-charts]');
const language = document.documentElement.lang;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

const toMinute = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
const formats = Object.fromEntries(Object.entries({
  second: { ...toMinute, second: '2-digit' }, minute: toMinute, date: { month: 'short', day: 'numeric' }, month: { year: 'numeric', month: 'short' }, whole: { dateStyle: 'medium', timeStyle: 'medium' },
}).map(([name, options]) => [name, new Intl.DateTimeFormat(language, options)]));
const number = (value, digits) => new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);

function bytesText(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  for (; Math.abs(value) >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${number(value, value < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

const valueTexts = {
  percent: (value) => `${number(value, value < 10 ? 1 : 0)} %`,
  share: (value) => `${number(100 * value, 1)} %`,
  mib: (value) => bytesText(value * 1024 ** 2),
  'bytes-per-second': (value) => `${bytesText(value)}/s`,
  'per-second': (value) => `${number(value, value < 1 ? 2 : value < 10 ? 1 : 0)} /s`,
};

/** Marks of days and hours stand at round moments of UTC: moved to those of the reader's clock, and written as it shows them. */
function localMarks(chart) {
  const { from, to, timeStep } = numbers(chart);
  for (const mark of chart.querySelectorAll('[data-mark]')) {
    let at = Number(mark.dataset.mark);
    const offset = new Date(at).getTimezoneOffset() * 60_000;
    if (timeStep >= hourMs) at += timeStep >= dayMs ? offset : offset % timeStep;
    const share = (at - from) / (to - from);
    mark.setAttribute('visibility', share < 0 || share > 1 ? 'hidden' : 'visible');
    for (const name of mark.tagName === 'line' ? ['x1', 'x2'] : ['x']) mark.setAttribute(name, `${100 * share}%`);
    if (mark.tagName === 'line') continue;
    const date = new Date(at);
    const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
    mark.textContent = formats[timeStep > 28 * dayMs ? 'month' : midnight ? 'date' : timeStep < 60_000 ? 'second' : 'minute'].format(at);
  }
}

function numbers({ dataset }) {
  return { from: Number(dataset.from), to: Number(dataset.to), first: Number(dataset.first), step: Number(dataset.step), timeStep: Number(dataset.timeStep) };
}

const list = (text) => (text === undefined || text === '' ? [] : text.split(',').map((part) => (part === '' ? null : Number(part))));

function readable(chart) {
  const picture = chart.querySelector('.chart-picture');
  const { from, to, first, step } = numbers(chart);
  const text = valueTexts[chart.dataset.unit];
  const series = [...chart.querySelectorAll('[data-series]')].map(({ dataset }) => ({ label: dataset.series, avg: list(dataset.avg), min: list(dataset.min), max: list(dataset.max) }));
  const count = Math.max(0, ...series.map(({ avg }) => avg.length));
  localMarks(chart);
  if (count === 0) return;
  const zoomable = box()?.contains(chart) === true;
  let index = null;

  const cursor = document.createElementNS('http://www.w3.org/2000/svg', 'line');
  for (const [name, value] of Object.entries({ class: 'chart-cursor', y1: 6, y2: 176, visibility: 'hidden' })) cursor.setAttribute(name, value);
  const selection = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  for (const [name, value] of Object.entries({ class: 'chart-selection', y: 6, height: 170, visibility: 'hidden' })) selection.setAttribute(name, value);
  picture.append(cursor, selection);
  const readout = document.createElement('div');
  readout.className = 'chart-readout';
  readout.hidden = true;
  readout.setAttribute('aria-hidden', 'true');
  chart.append(readout);

  const wordsAt = (at) => {
    const parts = series.map(({ label, avg, min, max }) => {
      if (avg[at] == null) return `${label} –`;
      return `${label} ${text(avg[at])}${min.length > 0 && min[at] !== max[at] ? ` (${text(min[at])} – ${text(max[at])})` : ''}`;
    });
    return `${formats.whole.format(first + at * step)}: ${parts.join(' · ')}`;
  };
  const show = (at) => {
    index = Math.max(0, Math.min(count - 1, at));
    const x = `${(100 * (first + (index + 0.5) * step - from)) / (to - from)}%`;
    cursor.setAttribute('x1', x);
    cursor.setAttribute('x2', x);
    cursor.setAttribute('visibility', 'visible');
    readout.textContent = wordsAt(index);
    readout.hidden = false;
    picture.setAttribute('aria-valuenow', index);
    picture.setAttribute('aria-valuetext', readout.textContent);
  };
  const hide = () => { cursor.setAttribute('visibility', 'hidden'); readout.hidden = true; };

  // a slider: what screen readers walk through by arrow keys and read out
  for (const [name, value] of Object.entries({ role: 'slider', tabindex: 0, 'aria-valuemin': 0, 'aria-valuemax': count - 1, 'aria-valuenow': count - 1, 'aria-valuetext': wordsAt(count - 1) })) picture.setAttribute(name, value);
  picture.addEventListener('focus', () => { if (picture.matches(':focus-visible')) show(index ?? count - 1); });
  picture.addEventListener('blur', hide);
  picture.addEventListener('keydown', (event) => {
    const here = index ?? count - 1;
    const to = { ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1, PageDown: here - Math.ceil(count / 10), PageUp: here + Math.ceil(count / 10), Home: 0, End: count - 1 }[event.key];
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (to !== undefined) { event.preventDefault(); show(to); return; }
    if (!zoomable || !['+', '=', '-', '−'].includes(event.key)) return;
    event.preventDefault();
    zoomBy(chart, event.key === '+' || event.key === '=' ? 0.5 : 2, first + (here + 0.5) * step);
  });

  const shareAt = (event) => { const { left, width } = picture.getBoundingClientRect(); return Math.max(0, Math.min(1, (event.clientX - left) / width)); };
  const timeAt = (share) => from + share * (to - from);
  let begun = null;
  picture.addEventListener('pointermove', (event) => {
    const share = shareAt(event);
    show(Math.floor((timeAt(share) - first) / step));
    if (begun === null) return;
    selection.setAttribute('x', `${100 * Math.min(begun, share)}%`);
    selection.setAttribute('width', `${100 * Math.abs(share - begun)}%`);
    selection.setAttribute('visibility', 'visible');
  });
  picture.addEventListener('pointerleave', () => { if (begun === null && document.activeElement !== picture) hide(); });
  picture.addEventListener('pointercancel', () => { begun = null; selection.setAttribute('visibility', 'hidden'); });
  if (!zoomable) return;
  picture.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || event.pointerType === 'touch') return;
    begun = shareAt(event);
    picture.setPointerCapture(event.pointerId);
  });
  picture.addEventListener('pointerup', (event) => {
    if (begun === null) return;
    const [low, high] = [begun, shareAt(event)].sort((a, b) => a - b);
    begun = null;
    selection.setAttribute('visibility', 'hidden');
    // a click is no stretch of time
    if ((high - low) * picture.getBoundingClientRect().width > 8) void go(addressOf(timeAt(low), timeAt(high)), chart.dataset.chart);
  });
}

const iso = (at) => `${new Date(at).toISOString().slice(0, 19)}Z`;

/** This page's address with another time, which does not lie ahead. */
function addressOf(from, to) {
  const ahead = Math.max(0, to - Number(box().dataset.now));
  from -= ahead;
  to -= ahead;
  const url = new URL(box().dataset.path, location.href);
  url.searchParams.delete('range');
  url.searchParams.set('from', iso(from));
  url.searchParams.set('to', iso(to));
  if (new URL(location.href).searchParams.has('table')) url.searchParams.set('table', new URL(location.href).searchParams.get('table'));
  return url.href;
}

function zoomBy(chart, factor, around) {
  const { from, to } = numbers(chart);
  const share = (around - from) / (to - from);
  const length = Math.max(60_000, (to - from) * factor);
  void go(addressOf(around - share * length, around + (1 - share) * length), chart.dataset.chart);
}

let fetching;

/** The charts of that address in place of these; the whole page where that fails. `focus`: the chart that had it keeps it. */
async function load(address, focus) {
  fetching?.abort();
  fetching = new AbortController();
  const { signal } = fetching;
  const response = await fetch(address, { headers: { accept: 'text/html' }, signal });
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const next = page.querySelector('[data-charts]');
  if (!response.ok || response.redirected || next === null) throw new Error(`${response.status}`);
  const old = box();
  const held = focus ?? old.querySelector('.chart-picture:focus')?.closest('[data-chart]')?.dataset.chart;
  old.replaceWith(document.adoptNode(next));
  document.querySelector('[data-charts-ages]').replaceWith(document.adoptNode(page.querySelector('[data-charts-ages]')));
  begin();
  if (held !== undefined) next.querySelector(`[data-chart="${CSS.escape(held)}"] .chart-picture`)?.focus({ preventScroll: true });
}

async function go(address, focus) {
  try {
    await load(address, focus);
    history.pushState({ charts: true }, '', address);
  } catch (error) {
    if (error.name !== 'AbortError') location.assign(address);
  }
}

let timer;

/** What ends now moves along, while somebody looks and nobody reads out of it. */
function follow() {
  clearTimeout(timer);
  const after = Number(box()?.dataset.refresh ?? 0);
  if (after === 0) return;
  timer = setTimeout(async () => {
    const busy = document.hidden || box().querySelector('.chart-readout:not([hidden])') !== null || box().contains(document.activeElement) && document.activeElement.matches('input');
    if (!busy) await load(location.href).catch(() => undefined);
    follow();
  }, after);
}

/** The small charts on another page: they are fetched alone. */
function followSummary(summary) {
  setInterval(async () => {
    if (document.hidden || summary.querySelector('.chart-readout:not([hidden])') !== null) return;
    const response = await fetch(summary.dataset.summary, { headers: { accept: 'text/html' } }).catch(() => undefined);
    if (response === undefined || !response.ok || response.redirected) return;
    const page = new DOMParser().parseFromString(await response.text(), 'text/html');
    for (const chart of summary.querySelectorAll('[data-chart]')) {
      const next = page.querySelector(`[data-chart="${CSS.escape(chart.dataset.chart)}"]`);
      if (next === null) continue;
      const held = chart.contains(document.activeElement);
      chart.replaceWith(document.adoptNode(next));
      readable(next);
      if (held) next.querySelector('.chart-picture').focus({ preventScroll: true });
    }
  }, Number(summary.dataset.refresh));
}

/** As a field of a form takes it, by the reader's clock. */
function localText(at) {
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function begin() {
  const charts = box();
  if (charts === null) return;
  for (const chart of charts.querySelectorAll('[data-chart]')) readable(chart);
  for (const zone of charts.querySelectorAll('[data-zone]')) zone.textContent = zone.dataset.local;
  for (const field of charts.querySelectorAll('.chart-range input[type=datetime-local]')) field.value = localText(Date.parse(`${field.defaultValue}Z`));
  localTimes(charts);
  for (const how of charts.querySelectorAll('[data-how]')) how.hidden = false;
  follow();
}

begin();
for (const summary of document.querySelectorAll('[data-summary]')) {
  for (const chart of summary.querySelectorAll('[data-chart]')) readable(chart);
  followSummary(summary);
}

document.addEventListener('click', (event) => {
  const link = event.target.closest('[data-charts] .chart-range a, [data-charts] nav a');
  if (link === null || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  void go(link.href);
});
// fields show the reader's time, addresses are UTC
document.addEventListener('formdata', ({ target, formData }) => {
  if (target.closest('.chart-range') === null) return;
  for (const name of ['from', 'to']) formData.set(name, iso(new Date(formData.get(name))));
});
addEventListener('popstate', () => { if (box() !== null) load(location.href).catch(() => location.reload()); });
