// Before the first paint: the chosen theme, else the system's. Not a module, so that the page never flashes.
(() => {
  const root = document.documentElement;
  const chosen = /(?:^|;\s*)theme=(light|dark)/.exec(document.cookie)?.[1];
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => { root.dataset.bsTheme = chosen ?? (dark.matches ? 'dark' : 'light'); };
  apply();
  if (chosen === undefined) dark.addEventListener('change', apply);
})();
