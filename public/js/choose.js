// Boxes that choose lines of a list: one box for all of them, and how many are chosen. Without scripts each is ticked by hand.
const all = document.querySelector('[data-check-all]');

if (all) {
  const box = all.querySelector('input');
  const count = document.querySelector('[data-chosen]');
  const boxes = () => [...document.querySelectorAll(all.dataset.checkAll)].filter((each) => !each.disabled);
  const show = () => {
    const shown = boxes();
    const chosen = shown.filter((each) => each.checked).length;
    box.checked = chosen > 0 && chosen === shown.length;
    box.indeterminate = chosen > 0 && !box.checked;
    if (count) count.textContent = chosen === 0 ? '' : count.dataset.chosen.replace('#', chosen);
  };
  all.hidden = false;
  box.addEventListener('change', () => { for (const each of boxes()) each.checked = box.checked; });
  document.addEventListener('change', show);
  // what is deleted while one chooses is chosen no more
  document.addEventListener('live:row', ({ detail }) => {
    const gone = detail.gone && document.querySelector(`input[name="${CSS.escape(detail.key)}"]`);
    if (!gone) return;
    gone.checked = false;
    gone.disabled = true;
    show();
  });
  // coming back, a browser ticks what was ticked
  addEventListener('pageshow', show);
  show();
}
