// Follows an operation: asks for its progress until it has ended, then opens the page that shows what came of it.
import { localTimes } from './app.js';

/** Shorter costs the portal more than people notice; longer feels stuck. */
const intervalMs = 700;

for (const element of document.querySelectorAll('[data-operation]')) follow(element);

// the machine went off by itself, changed hosts, or somebody does something with it in another window: what can be done now is another page
document.addEventListener('live:row', ({ detail }) => {
  const shown = document.querySelector('[data-shown-state]');
  if (!shown || detail.key !== shown.dataset.live || document.querySelector('[data-operation]') || detail.state === undefined) return;
  const changed = detail.state !== shown.dataset.shownState || String(detail.movedAt ?? '') !== shown.dataset.shownMoved;
  if (changed) setTimeout(reloadWhenFree, 500);
});

/** Not under the fingers of somebody who is filling in a form. */
function reloadWhenFree() {
  if (document.querySelector('main :is(input, select, textarea):focus')) setTimeout(reloadWhenFree, 1000);
  else location.reload();
}

async function follow(element) {
  if (element.querySelector('[data-ended=true]')) return;
  let failures = 0;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, intervalMs * Math.min(10, 1 + failures)));
    if (document.hidden) continue;
    try {
      const response = await fetch(element.dataset.operation, { headers: { accept: 'text/html' } });
      if (response.redirected || response.status === 404) return location.assign(element.dataset.next);
      if (!response.ok) throw new Error(String(response.status));
      const html = await response.text();
      failures = 0;
      // a form that is being sent must not be swapped away
      if (element.querySelector('form[data-sent]')) continue;
      element.innerHTML = html;
      localTimes(element);
      if (element.querySelector('[data-ended=true]')) return setTimeout(() => location.replace(element.dataset.next), 400);
    } catch {
      failures++;
      if (failures === 3) element.insertAdjacentText('beforeend', element.dataset.offline);
    }
  }
}
