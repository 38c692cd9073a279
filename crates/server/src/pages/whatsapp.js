// The page of a WhatsApp device: listens to the device's events, shows its QR code while there is one, and sends.
// It holds no secret but the key that a person typed, and that only for this tab.
(() => {
  'use strict';
  const page = document.querySelector('[data-page="whatsapp"]');
  if (!page) return;

  const KEY = 'sessile-whatsapp-key';
  const AGAIN_MS = 1500;
  const CALL_MS = 40_000;
  const HEADINGS = {
    ready: 'Connected', authenticated: 'Paired', qr_ready: 'Scan to pair', qr_error: 'No code left', loading: 'Connecting',
    reconnecting: 'Reconnecting', auth_failure: 'Pairing refused', max_reconnect_exceeded: 'Not connected',
    passkey_required: 'Passkey needed', replaced: 'Taken over', logged_out: 'Logged out',
    degraded_storage: 'Storage is away', error: 'Refused', disconnected: 'Not connected',
  };
  const SIGNS = { ready: 'completed', loading: 'pending', reconnecting: 'pending', authenticated: 'pending', qr_ready: 'waiting' };
  const REACHED = { sent: 'Sent', delivered: 'Delivered', read: 'Read', played: 'Played' };
  const ORDER = ['sent', 'delivered', 'read', 'played'];

  const find = (name) => page.querySelector(`[data-${name}]`);
  const device = new URLSearchParams(location.search).get('clientId') || page.dataset.device;
  find('name').textContent = device;
  let listening = null;
  let expiresAt = null;

  const say = (text, bad = false) => {
    find('say').textContent = text;
    find('say').classList.toggle('bad', bad);
  };
  const address = (path) => `/api/whatsapp/${path}?clientId=${encodeURIComponent(device)}`;
  const headers = () => {
    const key = sessionStorage.getItem(KEY);
    return key ? { Authorization: `Bearer ${key}` } : {};
  };

  async function call(path, body, more = {}) {
    const answer = await fetch(address(path), {
      method: 'POST',
      headers: { ...headers(), ...more, 'Content-Type': 'application/json' },
      body: JSON.stringify(body ?? {}),
      signal: AbortSignal.timeout(CALL_MS),
    });
    if (answer.status === 401) askForKey();
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(told.message ?? told.detail ?? `The server answered ${answer.status}.`);
    return told;
  }

  function askForKey() {
    find('key').hidden = false;
    ['pairing', 'sending', 'doing'].forEach((name) => { find(name).hidden = true; });
    show({ connectionStatus: 'disconnected', message: 'Tell this server who you are first.' }, 'Locked');
    find('key').querySelector('input').focus();
  }

  function show(status, heading = HEADINGS[status.connectionStatus] ?? status.connectionStatus) {
    const told = find('heading').textContent !== heading;
    find('heading').textContent = heading;
    find('sentence').textContent = status.lastError && !status.isReady ? `${status.message}. ${status.lastError}` : `${status.message}`;
    find('outcome').className = `outcome ${SIGNS[status.connectionStatus] ?? 'failed'}`;
    page.dataset.status = status.connectionStatus;
    document.title = `${heading} · WhatsApp · Sessile`;
    if (told) find('aloud').textContent = `${heading}.`;
  }

  function onStatus(status) {
    show(status);
    const pairs = ['qr_ready', 'loading', 'disconnected', 'qr_error', 'logged_out', 'auth_failure', 'passkey_required'];
    find('doing').hidden = false;
    find('pairing').hidden = !status.qrCode && !(pairs.includes(status.connectionStatus) && !find('code').hidden);
    find('sending').hidden = !status.isReady;
    const picture = find('qr');
    if (status.qrCode) {
      picture.src = status.qrCode;
      picture.dataset.seq = status.seq;
      expiresAt = Date.parse(status.expiresAt);
    } else {
      picture.removeAttribute('src');
      expiresAt = null;
    }
    if (status.isReady) find('code').hidden = true;
  }

  function onReceipt({ messageId, reached }) {
    const row = page.querySelector(`[data-message="${CSS.escape(messageId)}"]`);
    if (!row || ORDER.indexOf(reached) <= ORDER.indexOf(row.dataset.reached)) return;
    row.dataset.reached = reached;
    row.querySelector('[data-reached-word]').textContent = REACHED[reached] ?? reached;
  }

  // Events over fetch: an EventSource could not carry a key.
  async function listen() {
    listening?.abort();
    const mine = new AbortController();
    listening = mine;
    while (!mine.signal.aborted) {
      try {
        const answer = await fetch(address('qr/events'), { headers: headers(), signal: mine.signal });
        if (answer.status === 401) return askForKey();
        if (!answer.ok) throw new Error((await answer.json()).message ?? 'The server does not answer.');
        find('key').hidden = true;
        await read(answer.body.getReader());
      } catch (error) {
        if (mine.signal.aborted) return;
        show({ connectionStatus: 'loading', message: error instanceof TypeError ? 'The server is away for a moment' : error.message });
      }
      await new Promise((later) => { setTimeout(later, AGAIN_MS); });
    }
  }

  async function read(reader) {
    const text = new TextDecoder();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += text.decode(value, { stream: true });
      const events = rest.split('\n\n');
      rest = events.pop();
      events.forEach(take);
    }
  }

  function take(event) {
    const field = (name) => event.split('\n').find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const data = field('data');
    if (!data) return;
    ({ status: onStatus, receipt: onReceipt })[field('event')]?.(JSON.parse(data));
  }

  function row(text, to, id) {
    const item = document.createElement('li');
    item.dataset.message = id;
    item.dataset.reached = 'sent';
    const what = document.createElement('span');
    what.dir = 'auto';
    what.textContent = text;
    const how = document.createElement('span');
    how.className = 'soft';
    const word = document.createElement('span');
    word.dataset.reachedWord = '';
    word.textContent = REACHED.sent;
    how.append(`to +${to} · `, word);
    item.append(what, how);
    return item;
  }

  function onSubmit(form, act) {
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      const button = form.querySelector('button');
      button.disabled = true;
      say('');
      try {
        await act(form);
      } catch (error) {
        say(error.message, true);
      } finally {
        button.disabled = false;
      }
    });
  }

  // A message whose outcome is not known is sent again under the same key, so that it arrives once.
  let trying = null;
  onSubmit(find('send-form'), async (form) => {
    const number = form.querySelector('#number').value;
    const message = form.querySelector('#message').value;
    const same = trying && trying.number === number && trying.message === message;
    trying = same ? trying : { number, message, key: crypto.randomUUID() };
    const { data } = await call('send', { number, message }, { 'Idempotency-Key': trying.key });
    trying = null;
    find('sent').prepend(row(message, data.to, data.messageId));
    form.querySelector('#message').value = '';
    say('Message sent.');
  });

  onSubmit(find('code-form'), async (form) => {
    const { data } = await call('pair-code', { number: form.querySelector('#own').value });
    const shown = find('code');
    shown.textContent = data.code.replace(/-/g, '').replace(/(.{4})(.{4})/, '$1 $2');
    shown.hidden = false;
  });

  onSubmit(find('key-form'), async (form) => {
    sessionStorage.setItem(KEY, form.querySelector('#key').value.trim());
    form.reset();
    listen();
  });

  find('doing').addEventListener('click', async (event) => {
    const what = event.target.closest('button')?.dataset.do;
    if (!what) return;
    if (what === 'logout' && !confirm('Log this device out? It has to be paired again afterwards.')) return;
    event.target.disabled = true;
    try {
      say((await call(what)).message);
    } catch (error) {
      say(error.message, true);
    } finally {
      event.target.disabled = false;
    }
  });

  setInterval(() => {
    if (expiresAt === null) return;
    const seconds = Math.max(0, Math.round((expiresAt - Date.now()) / 1000));
    find('left').textContent = `A new code comes by itself in ${seconds} s.`;
  }, 1000);

  listen();
})();
