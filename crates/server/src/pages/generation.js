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
  /** Between two questions, where there is no stream. */
  const ASK_MS = 3000;
  const DRAFT = 'sessile.prompt';
  const STATES = {
    planned: 'Waiting', calling: 'Ordering', asking: 'Ordering', running: 'Being made', done: 'Done', failed: 'Not made',
  };
  const WORDS = {
    pending: ['Waiting for your payment', 'Stripe has not confirmed the payment yet. This page shows it within moments.'],
    processing: ['Paid. Your videos are being made',
      'This takes a few minutes. You can close this page and come back: its address stays good for 30 days.'],
    completed: ['Your videos are ready', 'They can be watched and saved here.'],
    error: ['This did not work', 'The videos could not be made. We have been told.'],
  };

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
    const keep = () => {
      try {
        sessionStorage.setItem(DRAFT, field.value);
      } catch {
        // A browser that keeps nothing, or not so much: the page itself still has it.
      }
    };
    field.value ||= sessionStorage.getItem(DRAFT) ?? '';
    field.addEventListener('input', keep);
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

  function showVideo(row, file) {
    const put = (name, text) => { if (row.querySelector(name).textContent !== text) row.querySelector(name).textContent = text; };
    put('[data-state]', STATES[file.status] ?? file.status);
    const bar = row.querySelector('progress');
    bar.value = file.progress;
    bar.hidden = file.status === 'done';
    const video = row.querySelector('video');
    if (file.url && video.getAttribute('src') !== file.url) {
      video.src = file.url;
      video.hidden = false;
    }
    row.querySelector('[data-error]').hidden = !file.error;
    put('[data-error]', file.error ?? '');
  }

  function show(job) {
    const rows = page.querySelectorAll('[data-video]');
    // What this page was made without: its rows and the prompt come with a new one.
    if (rows.length === 0 && job.videoCount) {
      location.reload();
      return;
    }
    (job.files ?? []).forEach((file, index) => { if (rows[index]) showVideo(rows[index], file); });
    if (job.status === page.dataset.status || (job.status === 'pending' && page.dataset.status === 'unknown')) return;
    page.dataset.status = job.status;
    const [heading, sentence] = WORDS[job.status] ?? WORDS.pending;
    page.querySelector('[data-heading]').textContent = heading;
    page.querySelector('[data-sentence]').textContent = job.error ?? sentence;
    const sign = { error: 'failed' }[job.status] ?? job.status;
    page.querySelector('[data-outcome]').className = `outcome ${sign}`;
    document.title = `${heading} · Sessile`;
    say(`${heading}.`);
  }

  async function ask(address) {
    for (;;) {
      await pause(ASK_MS);
      try {
        const answer = await fetch(address, { signal: AbortSignal.timeout(CALL_MS) });
        if (answer.ok) {
          const job = await answer.json();
          show(job);
          if (isOver(job)) return;
        }
      } catch {
        // The server is away for a moment; the job is not.
      }
    }
  }

  function videos() {
    if (['completed', 'error'].includes(page.dataset.status)) return;
    const address = `/api/webhook-status/${encodeURIComponent(page.dataset.id)}`;
    const stream = new EventSource(`${address}/events`);
    stream.addEventListener('message', (event) => {
      const job = JSON.parse(event.data);
      show(job);
      if (isOver(job)) stream.close();
    });
    // A stream that only broke comes back by itself; one that was refused does not.
    stream.addEventListener('error', () => {
      if (stream.readyState === EventSource.CLOSED) ask(address);
    });
  }

  ({ prompt, videos })[page.dataset.page]?.();
})();
