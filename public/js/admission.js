// "May I create now?": looks again when the portal says that its answer may be old, and replaces the parts that carry
// figures. Controls that somebody is using, and what was typed, stay.
import { localTimes } from './app.js';

const form = document.getElementById('admission');
const parts = () => form.querySelectorAll('[data-fresh]');

function lookAgainAfter(ms) {
  setTimeout(() => (document.hidden ? lookAgainAfter(2000) : lookAgain()), Math.max(2000, ms));
}

async function lookAgain() {
  try {
    const response = await fetch(location.href, { headers: { accept: 'text/html' } });
    // logged out: the page itself says so
    if (response.redirected) return location.reload();
    if (!response.ok) throw new Error(String(response.status));
    const fresh = new DOMParser().parseFromString(await response.text(), 'text/html').getElementById('admission');
    const newParts = fresh.querySelectorAll('[data-fresh]');
    parts().forEach((part, index) => {
      if (!part.contains(document.activeElement)) part.replaceChildren(...newParts[index].childNodes);
    });
    localTimes(form);
    lookAgainAfter(Number(fresh.dataset.checkAgainMs));
  } catch {
    lookAgainAfter(10_000);
  }
}

lookAgainAfter(Number(form.dataset.checkAgainMs));
