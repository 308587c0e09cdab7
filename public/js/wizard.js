// Create VM: sliders joined to number fields, presets without a reload, and the verdict beside them, asked anew after each
// change and again when the portal says that it may be old. Without this script the "Check" button does the same.
import { localTimes } from './app.js';

const form = document.getElementById('wizard');
const panel = document.getElementById('verdict');
const summary = document.getElementById('verdict-summary');
const keys = ['vcpus', 'memoryMib', 'diskGib'];
const sliders = Object.fromEntries([...form.querySelectorAll('[data-slider]')].map((slider) => [slider.dataset.slider, slider]));
const boxes = Object.fromEntries(keys.map((key) => [key, form.elements[key]]));

for (const element of form.querySelectorAll('[data-needs-script]')) element.hidden = false;
for (const element of form.querySelectorAll('[data-replaced-by-script]')) element.hidden = true;

for (const key of keys) {
  sliders[key].addEventListener('input', () => { boxes[key].value = sliders[key].value; changed(); });
  boxes[key].addEventListener('input', () => { sliders[key].value = boxes[key].value; changed(); });
}
form.elements.antiAffinity.addEventListener('input', () => changed());
for (const radio of form.querySelectorAll('[name=imageId]')) radio.addEventListener('change', () => changed());

// presets and "use this size" carry their figures
form.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-size]');
  if (!button) return;
  event.preventDefault();
  button.dataset.size.split(',').forEach((value, index) => {
    boxes[keys[index]].value = value;
    sliders[keys[index]].value = value;
  });
  changed(0);
});

let waiting;
let asking;
let again;

/** Asks after a pause in the dragging: too short floods the portal, too long feels dead. */
function changed(pauseMs = 150) {
  showPreset();
  clearTimeout(waiting);
  waiting = setTimeout(ask, pauseMs);
}

function showPreset() {
  const size = keys.map((key) => boxes[key].value).join();
  for (const button of form.querySelectorAll('button[name=flavour]')) button.classList.toggle('active', button.dataset.size === size);
}

async function ask() {
  asking?.abort();
  asking = new AbortController();
  const image = form.querySelector('[name=imageId]:checked');
  const query = new URLSearchParams({ imageId: image ? image.value : '' });
  for (const key of keys) query.set(key, boxes[key].value);
  query.set('antiAffinity', form.elements.antiAffinity.value);
  try {
    const response = await fetch(`${form.dataset.verdict}?${query}`, { signal: asking.signal, headers: { accept: 'text/html' } });
    // logged out: the page itself says so better than a panel could
    if (response.redirected) return location.reload();
    if (!response.ok) throw new Error(String(response.status));
    const focused = panel.contains(document.activeElement);
    panel.innerHTML = await response.text();
    if (focused) panel.querySelector('button, a')?.focus();
    localTimes(panel);
    takeBounds();
    if (panel.firstElementChild.dataset.allowed === 'true') form.querySelector('[data-refused]')?.remove();
    // phones show the panel below the buttons
    summary.textContent = ['[data-verdict-text]', '[data-price-total]'].map((part) => panel.querySelector(part)?.textContent ?? '').join(' ');
    askAgain();
  } catch (error) {
    if (error.name === 'AbortError') return;
    const text = panel.querySelector('[data-verdict-text]');
    if (text) text.textContent = panel.dataset.offline;
    askAgain(10_000);
  }
}

/** Controls offer what caps, quota and the cluster leave at this moment; a value beyond stays where it was typed. */
function takeBounds() {
  const data = panel.firstElementChild.dataset;
  for (const key of keys) {
    // data-min-memorymib: attribute names know no capitals
    const name = key[0].toUpperCase() + key.slice(1).toLowerCase();
    const min = Number(data[`min${name}`]);
    const max = Number(data[`max${name}`]);
    const slider = sliders[key];
    const step = Number(slider.step);
    boxes[key].min = min;
    slider.min = Math.ceil(min / step) * step;
    slider.max = Math.max(slider.min, max);
    slider.disabled = max === 0;
    slider.value = boxes[key].value;
    form.querySelector(`[data-bounds-of=${key}]`).textContent = data[`hint${name}`];
  }
}

function askAgain(afterMs = Number(panel.firstElementChild?.dataset.checkAgainMs ?? 10_000)) {
  clearTimeout(again);
  again = setTimeout(() => (document.hidden ? askAgain() : ask()), Math.max(2000, afterMs));
}

document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
askAgain();
