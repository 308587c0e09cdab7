// Follows an operation: asks for its progress until it has ended, then opens the page that shows what came of it.
import { localTimes } from './app.js';

/** Shorter costs the portal more than people notice; longer feels stuck. */
const intervalMs = 700;

for (const element of document.querySelectorAll('[data-operation]')) follow(element);

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
