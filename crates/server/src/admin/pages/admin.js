// Keeps the dashboard live, and reads charts. The page is fetched again as it is, and what changed in its live parts is
// put in their place: no other address, no state of its own. Where a person is at work - typing, or with the focus
// inside a part - that part is left alone. Without this script a reload shows the same.
'use strict';

(() => {
  const EVERY_MS = 3000;
  const PATIENCE_MS = 10_000;
  const PAUSED = 'sessile.paused';
  const state = document.querySelector('[data-live-state]');
  const pause = document.querySelector('[data-pause]');
  let paused = sessionStorage.getItem(PAUSED) === 'yes';

  const WORDS = { live: 'Live', still: 'Paused', lost: 'No answer' };

  function say(name) {
    if (!state) return;
    state.hidden = false;
    state.classList.toggle('is-live', name === 'live');
    state.classList.toggle('is-lost', name === 'lost');
    state.querySelector('[data-live-says]').textContent = WORDS[name];
  }

  function take(part, fresh) {
    const busy = part.contains(document.activeElement) || part.matches(':has(svg:hover)');
    if (!busy && part.innerHTML !== fresh.innerHTML) part.replaceChildren(...fresh.childNodes);
  }

  async function news() {
    const answer = await fetch(location.href, {
      headers: { accept: 'text/html', 'x-sessile-news': '1' },
      redirect: 'error', cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    for (const part of document.querySelectorAll('[data-live]')) {
      const fresh = page.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
      if (fresh) take(part, fresh);
    }
  }

  async function round() {
    if (!paused && document.visibilityState === 'visible') {
      try {
        await news();
        say('live');
      } catch {
        say('lost');
      }
    }
    setTimeout(round, EVERY_MS);
  }

  function show() {
    if (!pause) return;
    pause.setAttribute('aria-pressed', String(paused));
    say(paused ? 'still' : 'live');
  }

  pause?.addEventListener('click', () => {
    paused = !paused;
    sessionStorage.setItem(PAUSED, paused ? 'yes' : 'no');
    show();
  });

  // --- charts --------------------------------------------------------------------------------------------------------

  const clock = (ms) => new Date(ms).toISOString().slice(11, 16);
  const number = (value) => (value === null ? '–' : String(Math.round(value * 100) / 100));

  function read(figure, at) {
    const { from, step, lines } = JSON.parse(figure.dataset.chart);
    const last = lines[0][1].length - 1;
    const point = Math.min(last, Math.max(0, Math.round(at * last)));
    const values = lines.map(([name, readings]) => `${name} ${number(readings[point])}`);
    const rule = figure.querySelector('.rule');
    rule.hidden = false;
    rule.style.left = `${(point / last) * 100}%`;
    figure.querySelector('[data-read]').textContent = `${clock(from + (point + 1) * step)}: ${values.join(', ')}`;
  }

  document.addEventListener('pointermove', (event) => {
    const svg = event.target.closest?.('.chart svg');
    for (const rule of document.querySelectorAll('.rule:not([hidden])')) {
      if (svg && rule.parentElement === svg.parentElement) continue;
      rule.hidden = true;
      rule.closest('.chart').querySelector('[data-read]').textContent = '';
    }
    if (!svg) return;
    const box = svg.getBoundingClientRect();
    read(svg.closest('.chart'), (event.clientX - box.left) / box.width);
  });

  if (document.querySelector('[data-live]')) {
    show();
    setTimeout(round, EVERY_MS);
  }
})();
