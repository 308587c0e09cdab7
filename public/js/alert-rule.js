// The form of an alert rule: shows what it would have done, again after every change.
const form = document.getElementById('rule-form');
const place = document.getElementById('rule-preview');
let timer;
let asked = 0;

async function look() {
  const turn = ++asked;
  place.setAttribute('aria-busy', 'true');
  try {
    const response = await fetch(form.dataset.preview, { method: 'POST', body: new URLSearchParams(new FormData(form)), headers: { 'x-fragment': 'preview', accept: 'text/html' } });
    const text = await response.text();
    // a later change has asked meanwhile
    if (turn === asked && response.ok && !response.redirected) place.replaceChildren(...new DOMParser().parseFromString(text, 'text/html').body.childNodes);
  } finally {
    if (turn === asked) place.removeAttribute('aria-busy');
  }
}

form.addEventListener('input', () => {
  clearTimeout(timer);
  timer = setTimeout(look, 600);
});
if (place.dataset.empty) look();
