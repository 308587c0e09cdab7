// Moves as they go on: bars follow the stream, and when a move begins or ends the parts of the page that list them are
// fetched anew. Without scripts the page is loaded again every few seconds.
import { localTimes } from './app.js';

const openStates = ['queued', 'moving'];
/** What was open when this page was last fetched; the stream says it again with every change. */
let fetchedFor;

document.addEventListener('live:row', ({ detail }) => {
  if (detail.key === 'moves') return compare(detail.state);
  if (!detail.key.startsWith('move:')) return;
  for (const bar of document.querySelectorAll(`[data-live="${CSS.escape(detail.key)}"] progress[data-percent]`)) {
    if (detail.values.percent === null) bar.removeAttribute('value');
    else bar.value = detail.values.percent;
  }
});

/** `open`: what waits (q:ID) and moves (m:ID) now. A page shows all of them, some, or one. */
function compare(open) {
  if (open === fetchedFor) return;
  const shown = [...document.querySelectorAll('[data-live^="move:"]')].filter((row) => openStates.includes(row.dataset.state)).map((row) => `${row.dataset.state[0]}:${row.dataset.live.slice(5)}`);
  const known = new Set(open.split(' ').filter(Boolean));
  const same = shown.length === known.size && shown.every((each) => known.has(each));
  const first = fetchedFor === undefined;
  fetchedFor = open;
  if (!first || !same) void refresh();
}

async function refresh() {
  const response = await fetch(location.href, { headers: { accept: 'text/html' } }).catch(() => undefined);
  if (response === undefined || !response.ok || response.redirected) return;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const part of document.querySelectorAll('[data-part]')) {
    // a form that is being sent, or a list that is open, must not be swapped away
    if (part.querySelector('form[data-sent]') || part.contains(document.activeElement) && document.activeElement.matches('select, input')) continue;
    const fresh = page.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (fresh) {
      part.replaceWith(fresh);
      localTimes(fresh);
    }
  }
}
