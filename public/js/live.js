// Keeps a page's figures fresh. One event stream brings the words of the cells that changed; ages are counted here, and
// figures past two polling periods are marked as old whether the stream lives or not.
import { post } from './app.js';

const source = document.querySelector('[data-live-source]');
const words = source?.dataset ?? {};
const pollMs = Number(words.pollMs ?? 10_000);
// the server's clock rules: a reader's clock may be wrong by hours
let serverOffset = Number(words.now ?? Date.now()) - Date.now();

const rows = () => document.querySelectorAll('[data-live]');
const find = (key) => document.querySelectorAll(`[data-live="${CSS.escape(key)}"]`);

function ageText(elapsedMs) {
  const seconds = Math.max(0, Math.round(elapsedMs / 1000));
  const [pattern, n] = seconds < 120 ? [words.seconds, seconds] : seconds < 7200 ? [words.minutes, seconds / 60] : seconds < 172_800 ? [words.hours, seconds / 3600] : [words.days, seconds / 86_400];
  return words.ago.replace('#', pattern.replace('#', Math.round(n)));
}

function showAges() {
  const now = Date.now() + serverOffset;
  for (const element of document.querySelectorAll('[data-age]')) {
    if (element.dataset.age === '') continue;
    const at = Number(element.dataset.age);
    // what is read more seldom, or moves along with its page only, says when it is old
    const stale = now - at > Number(element.closest('[data-old-after]')?.dataset.oldAfter ?? 2 * pollMs);
    element.textContent = ageText(now - at);
    const row = element.closest('[data-live]') ?? element.parentElement;
    row.classList.toggle('is-stale', stale);
    const mark = row.querySelector('[data-stale]');
    if (mark) mark.hidden = !stale;
  }
}

/** The buttons of what may be done now; new ones are copies of those in the page's template. */
function showActions(row, actions) {
  const box = row.querySelector('.machine-actions');
  const template = document.getElementById('machine-buttons');
  if (!box || !template) return;
  const shown = [...box.querySelectorAll('[data-action]')].map((button) => button.dataset.action);
  if (shown.join() === actions.join()) return;
  const { path, name } = box.dataset;
  box.replaceChildren(...actions.flatMap((action) => {
    const button = template.content.querySelector(`[data-action="${CSS.escape(action)}"]`)?.cloneNode(true);
    if (!button) return [];
    const address = button.tagName === 'A' ? 'href' : 'formaction';
    button.setAttribute(address, path + button.getAttribute(address));
    button.title = `${button.title}: ${name}`;
    return [button];
  }));
}

function patch(row, change) {
  if (change.gone) {
    row.dataset.state = 'gone';
    for (const cell of row.querySelectorAll('[data-cell]')) cell.textContent = cell.dataset.cell === 'state' ? words.goneWord : '–';
    showActions(row, []);
    for (const age of row.querySelectorAll('[data-age]')) { age.dataset.age = ''; age.textContent = ''; }
    return;
  }
  for (const [name, text] of Object.entries(change.cells ?? {})) {
    for (const cell of row.querySelectorAll(`[data-cell="${CSS.escape(name)}"]`)) if (cell.textContent !== text) cell.textContent = text;
  }
  for (const [name, value] of Object.entries(change.values ?? {})) {
    for (const bar of row.querySelectorAll(`progress[data-value="${CSS.escape(name)}"]`)) bar.value = value ?? 0;
  }
  if (change.state !== undefined) row.dataset.state = change.state;
  if (change.at !== undefined) {
    for (const age of row.querySelectorAll('[data-age]')) {
      age.dataset.age = change.at ?? '';
      if (change.at === null) age.textContent = '';
    }
  }
  if (change.actions) showActions(row, change.actions);
}

let stream;
let retry;

function subscription() {
  const keys = [...rows()].map((row) => row.dataset.live);
  const query = new URLSearchParams();
  for (const kind of ['instance', 'host']) {
    const ids = new Set(keys.filter((key) => key.startsWith(`${kind}:`)).map((key) => key.slice(kind.length + 1)));
    if (ids.size > 0) query.set(`${kind}s`, [...ids].join(','));
  }
  for (const extra of (words.subscribe ?? '').split(' ').filter(Boolean)) query.set(extra, '1');
  return query.toString();
}

function mark(live) {
  source.classList.toggle('is-live', live);
  const text = live ? words.liveWord : words.lostWord;
  if (source.textContent !== text) source.textContent = text;
}

function open() {
  clearTimeout(retry);
  const query = subscription();
  if (stream !== undefined || query === '' || document.hidden) return;
  stream = new EventSource(`${words.liveSource}?${query}`);
  stream.addEventListener('open', () => mark(true));
  stream.addEventListener('patch', (event) => {
    const data = JSON.parse(event.data);
    serverOffset = data.now - Date.now();
    for (const change of data.rows) {
      for (const row of find(change.key)) patch(row, change);
      document.dispatchEvent(new CustomEvent('live:row', { detail: change }));
    }
    mark(true);
    showAges();
    // the second frame begins when the first one is on the screen
    if (data.confirm && !document.hidden) requestAnimationFrame(() => requestAnimationFrame(() => void post(`${words.liveSource}/painted`, { ticket: data.confirm }).catch(() => undefined)));
  });
  // the session is over: the next page asks for the login
  stream.addEventListener('end', () => { close(); mark(false); });
  stream.addEventListener('error', () => {
    mark(false);
    // a refused stream is not opened again by the browser
    if (stream?.readyState !== EventSource.CLOSED) return;
    close();
    retry = setTimeout(open, 15_000 + Math.random() * 15_000);
  });
}

function close() {
  clearTimeout(retry);
  stream?.close();
  stream = undefined;
}

if (source) {
  open();
  setInterval(showAges, 1000);
  // a browser has six connections to a site: windows that nobody sees give theirs back
  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  addEventListener('pagehide', close);
  addEventListener('pageshow', open);
}
