// While a host is lost or a drill goes on, what the page says of it is fetched anew every few seconds. A form that somebody
// is filling in stays as it is.
import { localTimes } from './app.js';

const everyMs = 3000;

async function refresh() {
  if (document.hidden) return;
  const response = await fetch(location.href, { headers: { accept: 'text/html' } }).catch(() => undefined);
  if (response === undefined || !response.ok || response.redirected) return;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const part of document.querySelectorAll('[data-part]')) {
    const fresh = page.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (!fresh || fresh.innerHTML === part.innerHTML || part.querySelector('details[open]') || part.contains(document.activeElement)) continue;
    part.replaceWith(fresh);
    localTimes(fresh);
  }
}

if (document.querySelector('[data-part]')) setInterval(() => void refresh(), everyMs);
