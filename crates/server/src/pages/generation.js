// The pages of paid jobs in the browser: sends the prompt and leads to Stripe's page; then listens to the job's stream
// and moves a bar for every video, until there is something to play.
//
// What a job holds is the server's: a reload, another tab or another day shows the same. Only a prompt that was not sent
// yet is kept in this tab.
'use strict';

(() => {
  const page = document.querySelector('[data-page]');
  if (!page) return;

  const CALL_MS = 30_000;
  /** Between two questions, where there is no stream; and where only an operator can change anything. */
  const ASK_MS = 3000;
  const ASK_FAILED_MS = 8000;
  const DRAFT = 'sessile.prompt';
  const COUNT = 'sessile.videos';

  const say = (text) => { page.querySelector('[data-say]').textContent = text; };
  const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

  // --- the prompt ----------------------------------------------------------------------------------------------------

  async function send(form) {
    const text = form.elements.prompt.value;
    const bytes = new TextEncoder().encode(text).length;
    const most = Number(page.dataset.bytesMax);
    if (!text.trim()) {
      say('Write what the video should show.');
      return;
    }
    if (bytes > most) {
      say(`The prompt has ${bytes.toLocaleString('en')} bytes, and ${most.toLocaleString('en')} is the most. Shorten it.`);
      return;
    }
    say('One moment…');
    const body = {
      priceId: page.dataset.price, quantity: Number(form.elements.quantity.value), prompt: text,
      toolSlug: 'veo3-prompt-generator', toolTitle: 'Free VEO3 Viral Prompt Generator',
    };
    let answer;
    try {
      const response = await fetch('/api/create-checkout', {
        method: 'POST', body: JSON.stringify(body), signal: AbortSignal.timeout(CALL_MS),
        headers: { 'content-type': 'application/json', accept: 'application/json' },
      });
      answer = await response.json();
    } catch {
      answer = {};
    }
    if (answer.url) {
      location.assign(answer.url);
      await pause(CALL_MS);
      return;
    }
    say(answer.detail ?? (answer.error ? `${answer.error}. Nothing was charged.` : 'The server does not answer. Nothing was charged: try again.'));
  }

  function prompt() {
    const form = page.querySelector('[data-form]');
    const field = form.elements.prompt;
    const button = form.querySelector('[type=submit]');
    const count = form.elements.quantity;
    const keep = () => {
      try {
        sessionStorage.setItem(COUNT, count.value);
        sessionStorage.setItem(DRAFT, field.value);
      } catch {
        // A browser that keeps nothing, or not so much: the page itself still has it.
      }
    };
    field.value ||= sessionStorage.getItem(DRAFT) ?? '';
    count.value = sessionStorage.getItem(COUNT) ?? count.value;
    form.addEventListener('input', keep);
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      await send(form);
      button.disabled = false;
    });
    // Back from Stripe's page with the browser's own button.
    addEventListener('pageshow', (event) => {
      if (event.persisted) location.reload();
    });
    button.disabled = false;
  }

  // --- the videos ----------------------------------------------------------------------------------------------------

  const isOver = ({ status }) => status === 'completed' || status === 'error';

  /** How a job stands, by the names that the page has words for. */
  function outcomeOf({ status, videoCount, files = [] }) {
    if (status !== 'error') return videoCount ? status : 'unknown';
    const failed = files.filter((file) => file.status === 'failed').length;
    if (failed === 0) return 'nothing';
    if (failed === files.length) return 'all-failed';
    return failed === 1 ? 'one-failed' : 'some-failed';
  }

  function showVideo(row, file, states) {
    const put = (name, text) => { if (row.querySelector(name).textContent !== text) row.querySelector(name).textContent = text; };
    put('[data-state]', states.get(file.status) ?? file.status);
    const bar = row.querySelector('progress');
    bar.value = file.progress;
    bar.hidden = file.status === 'done' || file.status === 'failed';
    const video = row.querySelector('video');
    if (file.url && video.getAttribute('src') !== file.url) {
      video.src = file.url;
      video.hidden = false;
    }
    row.querySelector('[data-error]').hidden = !file.error;
    put('[data-error]', file.error ?? '');
  }

  function show(job) {
    const list = page.querySelector('[data-videos]');
    // What this page was made without: its rows and the prompt come with a new one.
    if (!list && job.videoCount) {
      location.reload();
      return;
    }
    const { outcomes, states } = JSON.parse(page.dataset.words);
    const names = new Map(states);
    (job.files ?? []).forEach((file, at) => { if (list?.children[at]) showVideo(list.children[at], file, names); });
    if (list) list.hidden = !job.files?.length;
    const outcome = outcomeOf(job);
    if (outcome === page.dataset.outcome) return;
    page.dataset.outcome = outcome;
    const { sign, heading, sentence } = outcomes[outcome];
    page.querySelector('[data-heading]').textContent = heading;
    page.querySelector('[data-sentence]').textContent = (outcome === 'nothing' && job.error) || sentence;
    page.querySelector('[data-sign]').className = `outcome ${sign}`;
    document.title = `${heading} · Sessile`;
    say(`${heading}.`);
  }

  /** Asks again and again. A job that failed may be retried, sooner or later: it is asked for less often. */
  async function ask(address, status) {
    while (status !== 'completed') {
      await pause(status === 'error' ? ASK_FAILED_MS : ASK_MS);
      if (document.hidden) continue;
      try {
        const answer = await fetch(address, { signal: AbortSignal.timeout(CALL_MS) });
        if (answer.ok) {
          const job = await answer.json();
          show(job);
          ({ status } = job);
        }
      } catch {
        // The server is away for a moment; the job is not.
      }
    }
  }

  function videos() {
    const { outcome } = page.dataset;
    const address = `/api/webhook-status/${encodeURIComponent(page.dataset.id)}`;
    if (outcome === 'completed') return;
    if (outcome === 'nothing' || outcome.endsWith('failed')) {
      ask(address, 'error');
      return;
    }
    const stream = new EventSource(`${address}/events`);
    stream.addEventListener('message', (event) => {
      const job = JSON.parse(event.data);
      show(job);
      if (!isOver(job)) return;
      stream.close();
      ask(address, job.status);
    });
    // A stream that only broke comes back by itself; one that was refused does not.
    stream.addEventListener('error', () => {
      if (stream.readyState === EventSource.CLOSED) ask(address, 'pending');
    });
  }

  ({ prompt, videos })[page.dataset.page]?.();
})();
