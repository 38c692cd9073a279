// The wizard in the browser: keeps what is typed, asks the checkout and payment routes, and moves on.
//
// What a checkout holds is read from the server, so that a reload, another tab or a restart of the server changes
// nothing; only what has no checkout yet is kept in this tab. Prices are the server's: none is computed here.
'use strict';

(() => {
  const page = document.querySelector('[data-page]');
  if (!page) return;

  const TO_DASHBOARD_MS = 2500;
  const TO_START_MS = 3000;
  const CALL_MS = 30_000;
  /** Between the tries of one call, while the server does not answer. */
  const PAUSES_MS = [300, 700, 1500, 3000, 5000];
  const WAIT_AGAIN_MS = 1000;
  const LONG_WAIT_MS = 60_000;
  const DRAFT = 'sessile.draft';
  const COUPON = 'sessile.coupon.';

  const user = page.dataset.user ?? null;
  const form = page.querySelector('[data-form]');
  const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
  const go = (path) => { location.assign(path); };
  const at = (path, id) => (id ? `${path}?${new URLSearchParams({ sessionId: id })}` : path);

  function say(text) {
    page.querySelector('[data-say]').textContent = text;
  }

  // --- calls -------------------------------------------------------------------------------------------------------

  /** One call; `status` is 0 when nobody answered. */
  async function call(path, body) {
    const init = { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(CALL_MS) };
    if (body) Object.assign(init, { method: 'POST', body: JSON.stringify(body) });
    if (body) init.headers['content-type'] = 'application/json';
    try {
      const answer = await fetch(path, init);
      return { status: answer.status, data: await answer.json() };
    } catch {
      return { status: 0, data: {} };
    }
  }

  /** The same, repeated while the server is away: every call here may be made twice. */
  async function ask(path, body) {
    for (const wait of PAUSES_MS) {
      const answer = await call(path, body);
      if (![0, 502, 503, 504].includes(answer.status)) return answer;
      say('The server does not answer. Trying again…');
      await pause(wait);
    }
    const answer = await call(path, body);
    if (answer.status === 0) answer.data.message = 'The server does not answer. Try again in a minute.';
    return answer;
  }

  const sentence = ({ data }) => data.message ?? data.detail ?? data.error ?? 'Something went wrong. Try again.';

  // --- the checkout ------------------------------------------------------------------------------------------------

  /** The checkout that takes the place of one that is not valid any more. */
  async function recover(id) {
    const answer = await ask('/api/recover-checkout-session', { userId: user, expiredSessionId: id });
    return answer.status === 200 ? answer.data.sessionId : null;
  }

  /** A checkout with what it holds; or the reason why there is none. An expired one is continued on the way. */
  async function checkoutOf(id) {
    const answer = await ask('/api/validate-checkout-session', { sessionId: id });
    if (answer.data.isValid) return { id, holds: answer.data.sessionData };
    const reason = answer.data.reason ?? 'unknown';
    const next = ['expired', 'session_not_found'].includes(reason) ? await recover(id) : null;
    if (!next) return { reason };
    const again = await ask('/api/validate-checkout-session', { sessionId: next });
    return again.data.isValid ? { id: next, holds: again.data.sessionData } : { reason };
  }

  /** Where a visitor goes whose checkout cannot be used. */
  async function leave(reason) {
    const used = reason === 'already_used';
    const heading = page.querySelector('[data-heading]');
    if (heading && !used) heading.textContent = 'We could not find that order';
    page.querySelector('[data-sentence]')?.replaceChildren();
    say(used ? 'This order is already paid. Taking you to your dashboard…'
      : 'Nothing was paid. Let us start again: taking you to the first step…');
    await pause(used ? TO_DASHBOARD_MS : TO_START_MS);
    go(used ? '/dashboard' : '/add');
  }

  /** This page is about another checkout from now on. */
  function rename(id) {
    const old = page.dataset.session;
    if (old === id) return;
    page.dataset.session = id;
    history.replaceState(null, '', at(location.pathname, id));
    for (const link of page.querySelectorAll('a[href*="sessionId="], a[href*="returnTo="]')) {
      link.href = link.getAttribute('href').replaceAll(encodeURIComponent(old), encodeURIComponent(id))
        .replaceAll(encodeURIComponent(encodeURIComponent(old)), encodeURIComponent(encodeURIComponent(id)));
    }
  }

  // --- the draft: what has no checkout yet ----------------------------------------------------------------------------

  function readDraft(session) {
    try {
      const draft = JSON.parse(sessionStorage.getItem(DRAFT));
      return draft && draft.session === session && Array.isArray(draft.items) ? draft.items : null;
    } catch {
      return null;
    }
  }

  const keepDraft = (session, items) => sessionStorage.setItem(DRAFT, JSON.stringify({ session, items }));
  const dropDraft = () => sessionStorage.removeItem(DRAFT);

  /** What was chosen so far, from this tab or from the checkout. `null` when the visitor is being led elsewhere. */
  async function items() {
    const session = page.dataset.session ?? null;
    const draft = readDraft(session);
    if (draft) return draft;
    if (!session) return [];
    const found = await checkoutOf(session);
    if (!found.id) {
      await leave(found.reason);
      return null;
    }
    rename(found.id);
    say('');
    const { tracks, selectedPackages } = found.holds;
    return [...tracks].map((track, index) => ({
      title: track?.title ?? '', artist: track?.artist ?? '', package: selectedPackages[index] ?? null,
    }));
  }

  /** Runs what a button does, once at a time. */
  async function busy(work) {
    const buttons = [...form.querySelectorAll('button')];
    if (form.ariaBusy === 'true') return;
    form.ariaBusy = 'true';
    for (const button of buttons) button.disabled = true;
    try {
      await work();
    } finally {
      form.ariaBusy = 'false';
      for (const button of buttons) button.disabled = false;
    }
  }

  const enable = () => { for (const button of form.querySelectorAll('[type=submit]')) button.disabled = false; };
  const copy = () => page.querySelector('template[data-track]').content.cloneNode(true).firstElementChild;

  // --- the pages -----------------------------------------------------------------------------------------------------

  async function add() {
    const list = page.querySelector('[data-tracks]');
    const more = page.querySelector('[data-more]');
    const known = await items();
    if (!known) return;
    const chosen = new WeakMap();

    const read = () => [...list.children].map((row) => ({
      title: row.querySelector('[name=title]').value.trim(),
      artist: row.querySelector('[name=artist]').value.trim(),
      package: chosen.get(row) ?? null,
    }));
    const keep = () => keepDraft(page.dataset.session ?? null, read());
    const number = () => {
      [...list.children].forEach((row, index) => {
        row.querySelector('legend').textContent = `Track ${index + 1}`;
        for (const input of row.querySelectorAll('input')) {
          input.id = `${input.name}-${index + 1}`;
          input.previousElementSibling.htmlFor = input.id;
        }
        const remove = row.querySelector('[data-remove]');
        remove.ariaLabel = `Remove track ${index + 1}`;
        remove.hidden = list.children.length === 1;
      });
      more.hidden = list.children.length >= Number(page.dataset.tracksMax);
    };
    const append = (item) => {
      const row = copy();
      row.querySelector('[name=title]').value = item.title ?? '';
      row.querySelector('[name=artist]').value = item.artist ?? '';
      chosen.set(row, item.package);
      row.querySelector('[data-remove]').addEventListener('click', () => {
        const next = row.nextElementSibling ?? row.previousElementSibling;
        row.remove();
        number();
        keep();
        say('The track was removed.');
        next.querySelector('input').focus();
      });
      list.append(row);
      number();
      return row;
    };

    for (const item of known.length > 0 ? known : [{}]) append(item);
    more.addEventListener('click', () => {
      append({}).querySelector('input').focus();
      say(`Track ${list.children.length} was added.`);
    });
    form.addEventListener('input', keep);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      keep();
      go(at('/packages', page.dataset.session));
    });
    enable();
  }

  async function packages() {
    const chosen = await items();
    if (!chosen) return;
    if (chosen.length === 0) {
      await leave('missing');
      return;
    }
    const list = page.querySelector('[data-tracks]');
    const total = page.querySelector('[data-total]');
    let asked = 0;

    const price = async () => {
      const turn = (asked += 1);
      const ids = chosen.map((item) => item.package).filter(Boolean);
      if (ids.length === 0) return;
      total.ariaBusy = 'true';
      const answer = await ask(`/packages/price?${new URLSearchParams(ids.map((id) => ['package', id]))}`);
      if (turn !== asked) return;
      total.ariaBusy = 'false';
      if (answer.status === 200) total.textContent = answer.data.text;
      say(answer.status === 200 ? '' : sentence(answer));
    };

    chosen.forEach((item, index) => {
      const row = copy();
      const legend = row.querySelector('legend');
      legend.textContent = item.title || `Track ${index + 1}`;
      if (item.artist) legend.append(Object.assign(document.createElement('span'), { className: 'soft', textContent: ` by ${item.artist}` }));
      for (const span of row.querySelectorAll(index === 0 ? '[data-later]' : '[data-first]')) span.remove();
      for (const radio of row.querySelectorAll('input')) {
        radio.name = `package-${index + 1}`;
        radio.checked = radio.value === item.package;
        radio.addEventListener('change', () => {
          item.package = radio.value;
          keepDraft(page.dataset.session ?? null, chosen);
          price();
        });
      }
      list.append(row);
    });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      busy(() => open(chosen));
    });
    enable();
    await price();
  }

  /** Makes a checkout of what was chosen, in place of the one that was changed. */
  async function open(chosen) {
    const tracks = chosen.map(({ title, artist }) => ({ title, artist }));
    const selectedPackages = Object.fromEntries(chosen.map((item, index) => [index, item.package]));
    const existingSessionId = page.dataset.session;
    const body = { tracks, selectedPackages, userId: user, existingSessionId };
    const answer = await ask('/api/create-checkout-session', body);
    if (answer.status !== 200) {
      say(sentence(answer));
      return;
    }
    dropDraft();
    go(at('/checkout', answer.data.sessionId));
  }

  async function checkout() {
    if (!form) return;
    const field = form.elements.coupon;
    let applied = null;
    let asked = '';

    const tell = (text, bad) => {
      const place = page.querySelector('[data-coupon-says]');
      place.textContent = text;
      place.className = bad ? 'small bad' : 'small good';
      field.ariaInvalid = bad ? 'true' : null;
    };
    const before = page.querySelector('dd[data-total]').textContent;
    const wasFree = page.dataset.price === '0';
    const show = (coupon) => {
      const number = (amount) => `${amount.toLocaleString('en')} ${page.dataset.unit}`;
      page.querySelector('[data-discounted]').hidden = !coupon;
      if (coupon) page.querySelector('[data-discount]').textContent = number(coupon.discountAmount);
      for (const total of page.querySelectorAll('[data-total]')) {
        total.textContent = coupon ? number(coupon.finalAmount) : before;
      }
      if (wasFree) return;
      for (const words of page.querySelectorAll('[data-free]')) words.hidden = !coupon?.isFullDiscount;
      for (const words of page.querySelectorAll('[data-to-pay]')) words.hidden = Boolean(coupon?.isFullDiscount);
    };
    const look = async () => {
      const code = field.value.trim();
      if (code === asked) return;
      asked = code;
      applied = null;
      show(null);
      sessionStorage.removeItem(COUPON + page.dataset.session);
      if (!code) {
        tell('', false);
        return;
      }
      const answer = await ask('/api/coupons/validate', { code, amount: Number(page.dataset.amount) });
      say('');
      if (!answer.data.valid) {
        asked = '';
        tell(sentence(answer), true);
        return;
      }
      applied = code;
      sessionStorage.setItem(COUPON + page.dataset.session, code);
      tell(answer.data.message, false);
      show(answer.data.coupon);
    };
    // Leaving the field asks; a button that is pressed by the same click waits for that answer.
    let looking = Promise.resolve();
    const apply = () => (looking = looking.then(look));

    if (field) {
      field.value = sessionStorage.getItem(COUPON + page.dataset.session) ?? '';
      field.addEventListener('change', apply);
      field.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter') return;
        event.preventDefault();
        apply();
      });
      form.querySelector('[data-apply]').addEventListener('click', apply);
    }
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      busy(async () => {
        if (field) await apply();
        if (field && field.value.trim() && !applied) {
          field.focus();
          return;
        }
        await pay(applied, () => { asked = ''; applied = null; field.value = ''; show(null); });
      });
    });
    // Back from the pay page with the browser's own button.
    addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
    if (field?.value) await apply();
    enable();
  }

  /** Begins the payment and leads to its provider. A checkout that has expired meanwhile is continued unseen. */
  async function pay(couponCode, forgetCoupon) {
    if (!await stillTheSame()) return;
    const { session, amount, email } = page.dataset;
    const body = { checkoutSessionId: session, amount: amount ? Number(amount) : undefined, userId: user, userEmail: email ?? '' };
    if (couponCode) body.couponCode = couponCode;
    say('One moment…');
    const answer = await ask('/api/click/create-transaction', body);
    const { success, paymentUrl, merchantTransId, isFullDiscount, appliedCoupon } = answer.data;
    if (answer.status === 401) {
      go(page.dataset.signIn);
    } else if (answer.status === 409) {
      location.reload();
    } else if (!success) {
      say(sentence(answer));
    } else if (couponCode && !appliedCoupon) {
      forgetCoupon();
      say('The coupon cannot be used any more. Look at the total, and press the button again to pay it.');
    } else {
      sessionStorage.removeItem(COUPON + session);
      // Until the browser is there, the button stays pressed.
      go(isFullDiscount ? `/payment/${encodeURIComponent(merchantTransId)}` : paymentUrl);
      await pause(CALL_MS);
    }
  }

  /** Whether what the page shows can be paid for; otherwise the visitor is on the way to what can. */
  async function stillTheSame() {
    const shown = page.dataset;
    const found = await checkoutOf(shown.session);
    if (found.id === shown.session) return true;
    if (!found.id) {
      await leave(found.reason);
      return false;
    }
    const code = sessionStorage.getItem(COUPON + shown.session);
    if (code) sessionStorage.setItem(COUPON + found.id, code);
    const next = await (await fetch(at('/checkout', found.id), { signal: AbortSignal.timeout(CALL_MS) })).text();
    const other = new DOMParser().parseFromString(next, 'text/html').querySelector('[data-page=checkout]');
    if (other?.dataset.choice === shown.choice && other.dataset.price === shown.price) {
      rename(found.id);
      return true;
    }
    say('Your order has changed. Look at it again before you pay.');
    await pause(TO_DASHBOARD_MS);
    location.replace(at('/checkout', found.id));
    return false;
  }

  async function gone() {
    const { reason, session } = page.dataset;
    const next = ['expired', 'session_not_found'].includes(reason) ? await recover(session) : null;
    if (next) location.replace(at('/checkout', next));
    else await leave(reason);
  }

  async function payment() {
    const { order, status } = page.dataset;
    if (!['pending', 'processing'].includes(status)) return;
    const began = Date.now();
    for (;;) {
      await call(`/api/click/wait-payment/${encodeURIComponent(order)}`);
      const answer = await call(`/api/click/status/${encodeURIComponent(order)}`);
      const answered = answer.status !== 0 && answer.status < 500;
      if (answered && answer.data.status !== status) {
        location.reload();
        return;
      }
      if (!answered) say('The server does not answer. Trying again…');
      else if (Date.now() - began < LONG_WAIT_MS) say('');
      else say('Still waiting. You can close this page: the outcome is kept and your dashboard shows it.');
      await pause(WAIT_AGAIN_MS);
    }
  }

  const pages = { add, packages, checkout, gone, payment };
  pages[page.dataset.page]().catch(() => say('Something went wrong. Reload this page.'));
})();
