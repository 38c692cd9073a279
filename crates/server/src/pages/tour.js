// Keeps the tour live: its page is fetched again every second and what changed in its live parts is put in their place; a
// row that is new or has changed lights up. Buttons are pressed without leaving the page. Without this script every button
// still works, and a reload shows the same.
'use strict';

(() => {
  const EVERY_MS = 1000;
  const PATIENCE_MS = 5000;
  const pulse = document.querySelector('[data-pulse]');
  const seen = new Map();
  let asking = false;

  function say(words, live) {
    pulse.hidden = false;
    pulse.classList.toggle('is-live', live);
    const says = pulse.querySelector('[data-pulse-says]');
    if (says.textContent !== words) says.textContent = words;
  }

  /** Remembers every row, and lights up those that changed since the last look. */
  function light(isFirst) {
    for (const row of document.querySelectorAll('[data-key]')) {
      const { key, at } = row.dataset;
      if (!isFirst && seen.get(key) !== at) row.classList.add('fresh');
      seen.set(key, at);
    }
  }

  async function news() {
    const answer = await fetch('/tour', {
      headers: { accept: 'text/html', 'x-sessile-news': '1' },
      redirect: 'error', cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    for (const part of document.querySelectorAll('[data-live]')) {
      const fresh = page.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
      if (fresh && part.innerHTML !== fresh.innerHTML) part.replaceChildren(...fresh.childNodes);
    }
    light(false);
  }

  async function look() {
    if (asking || document.visibilityState !== 'visible') return;
    asking = true;
    try {
      await news();
      say('Live', true);
    } catch {
      say('The program is gone: start it again', false);
    } finally {
      asking = false;
    }
  }

  async function press(event) {
    event.preventDefault();
    const form = event.target;
    const button = form.querySelector('button');
    button.disabled = true;
    try {
      await fetch(form.action, { method: 'POST', redirect: 'error' });
      await look();
    } catch {
      say('The program is gone: start it again', false);
    } finally {
      button.disabled = false;
    }
  }

  for (const form of document.querySelectorAll('[data-act]')) form.addEventListener('submit', press);
  light(true);
  say('Live', true);
  setInterval(look, EVERY_MS);
})();
