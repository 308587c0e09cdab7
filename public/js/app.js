// On every page: theme switch, local times, copy buttons, and forms that cannot be sent twice.
const themeSwitch = document.getElementById('theme-switch');
if (themeSwitch) {
  themeSwitch.hidden = false;
  themeSwitch.addEventListener('click', () => {
    const root = document.documentElement;
    const next = root.dataset.bsTheme === 'dark' ? 'light' : 'dark';
    root.dataset.bsTheme = next;
    document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax`;
  });
}

/** Shows <time data-local> in the reader's own time zone; the title keeps UTC. */
export function localTimes(root = document) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'medium' });
  for (const element of root.querySelectorAll('time[data-local]')) {
    element.title = element.textContent;
    element.textContent = format.format(new Date(element.dateTime));
    element.removeAttribute('data-local');
  }
}
localTimes();

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  if (navigator.clipboard) await navigator.clipboard.writeText((source.value ?? source.textContent).trim());
  else copySelected(source);
  const before = button.textContent;
  button.textContent = button.dataset.copied ?? before;
  setTimeout(() => { button.textContent = before; }, 1500);
});

/** Over plain HTTP from another machine a browser offers no clipboard: the text is selected and copied the old way. */
function copySelected(source) {
  if (source.select) source.select();
  else getSelection().selectAllChildren(source);
  document.execCommand('copy');
}

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = 'yes';
  // the button's own name and value are read before this runs
  setTimeout(() => { for (const button of form.querySelectorAll('button:not([type=button])')) button.classList.add('btn-loading'); }, 150);
});
// A page that answers a form cannot be loaded again by the back button: what stands in for it is the form as it was filled in.
const comeBack = document.querySelector('a[data-come-back]');
if (comeBack) history.replaceState(null, '', comeBack.href);
// coming back by the browser's back button: the form may be sent again
addEventListener('pageshow', () => {
  for (const form of document.querySelectorAll('form[data-sent]')) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll('.btn-loading')) button.classList.remove('btn-loading');
  }
});

/** POST with the session's token; resolves with the Response. */
export function post(url, body = {}) {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', 'x-csrf-token': document.querySelector('meta[name=csrf-token]').content },
    body: JSON.stringify(body),
  });
}
