// The operator's dashboard: who gets in, finding things, doing things - asked back and recorded - and pages that stay
// fresh by themselves.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bought, Operator, Shop } from './admin.mjs';
import { ADA, openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';
import { Buyer } from './shop.mjs';
import { seen, WhatsApp } from './whatsapp.mjs';

const USER = '3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d';

let browser, shop, program;
before(async () => {
  [browser, shop] = await Promise.all([openBrowser(), Shop.open('admin')]);
  ({ program } = shop);
});
after(async () => { await browser?.close(); await shop?.close(); });

test('a wrong token lets nobody in, and without one there is nothing to see', async () => {
  const stranger = await Person.arrive(browser, program);
  const operator = new Operator(stranger);
  for (const path of ['/admin/search?q=x', '/admin/payment', '/admin/payment/pay_x', '/admin/outbox', '/admin/nothing']) {
    stranger.expect(`404 ${path.split('?')[0]}`);
    await stranger.open(path);
    await stranger.page.getByRole('heading', { name: 'Not found' }).waitFor();
  }
  stranger.expect('403 /admin');
  await stranger.open('/admin');
  await operator.tryToken('not-the-token');
  assert.match(await stranger.page.getByRole('alert').innerText(), /not the operator's token/);
  assert.deepEqual(await stranger.context.cookies(`${program.url}/admin`), []);
  await operator.tryToken(program.adminToken);
  await stranger.page.getByRole('navigation', { name: 'Dashboard' }).waitFor();
  const [cookie] = (await stranger.context.cookies(`${program.url}/admin`)).filter(({ name }) => name === 'sessile_operator');
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, 'Strict', '/admin']);
  assert.ok(cookie.expires - Date.now() / 1000 <= 3600, 'it is short-lived');
  await stranger.button('Sign out').click();
  await stranger.page.getByRole('heading', { name: 'Operator\'s sign-in' }).waitFor();
  await stranger.open('/admin/payment');
  await stranger.page.getByRole('heading', { name: 'Not found' }).waitFor();
  await stranger.leave();
});

test('guessing is slowed down', async () => {
  const guess = () => fetch(`${program.url}/admin`, {
    method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'token=guess', redirect: 'manual',
  });
  const answers = [];
  for (let n = 0; n < 12; n += 1) answers.push(await guess());
  const last = answers.at(-1);
  assert.equal(last.status, 429, answers.map(({ status }) => status).join(' '));
  assert.ok(Number(last.headers.get('retry-after')) >= 1);
  // Whoever is in stays in: the next tests sign in from this network, so the bucket has to refill.
  await shop.program.restart('SIGTERM');
});

test('another site cannot use the operator\'s browser', async () => {
  const operator = await Operator.arrive(browser, program);
  const { payment: id } = { payment: (await shop.payment(USER)).transactionId };
  const [cookie] = await operator.person.context.cookies(`${program.url}/admin`);
  for (const [site, expected] of [['cross-site', 403], ['same-site', 403], ['same-origin', 303]]) {
    const answer = await fetch(`${program.url}/admin/payment/${id}/cancel`, {
      method: 'POST', redirect: 'manual', body: 'key=k',
      headers: {
        'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': site, cookie: `${cookie.name}=${cookie.value}`,
      },
    });
    assert.equal(answer.status, expected, site);
  }
  await operator.leave();
});

test('search by id, user, order and Stripe id', async () => {
  const made = await shop.payment(USER);
  const operator = await Operator.arrive(browser, program);
  for (const needle of [made.transactionId, made.orderId, USER]) {
    await operator.search(needle);
    await operator.rows('Payments').getByRole('link', { name: new RegExp(`^${made.transactionId.slice(0, 8)}`) }).first().waitFor();
  }
  await operator.search('cs_test_nothing');
  await operator.page.getByText('Nothing has this name.').waitFor();
  await operator.leave();
});

test('a paid order: timeline, refund, and the way to the checkout', async () => {
  const order = await bought(browser, program);
  const operator = await Operator.arrive(browser, program);
  await operator.search(order);
  await operator.rows('Payments').getByRole('link').first().click();
  await operator.part('Timeline').waitFor();
  assert.deepEqual(await operator.timeline(), ['payment.confirmed', 'payment.prepared', 'payment.created']);
  // Asked back, and not done when the answer is no.
  await operator.page.getByRole('link', { name: 'Refund this payment' }).click();
  await operator.page.getByText('This cannot be undone.').waitFor();
  await operator.page.getByRole('link', { name: 'No, go back' }).click();
  assert.equal((await operator.timeline()).length, 3);
  await operator.does('Refund this payment');
  await operator.page.getByText('The refund was ordered').waitFor();
  const first = operator.part('Timeline').getByRole('listitem').filter({ hasText: 'payment.refund_requested' });
  assert.match(await first.innerText(), /by operator/);
  assert.equal(await operator.page.getByRole('link', { name: 'Refund this payment' }).count(), 0);
  await operator.part('Facts').getByRole('link', { name: /^cs_/ }).click();
  await operator.page.getByText('completed', { exact: true }).first().waitFor();
  await operator.open('/admin/audit');
  await operator.rows('Audit log').filter({ hasText: 'payment.refund_requested' }).filter({ hasText: 'operator' }).first().waitFor();
  await operator.leave();
});

test('a login is revoked, and its browser is signed out', async () => {
  const ada = await Person.arrive(browser, program);
  await ada.appear();
  const user = await (await ada.page.request.get(`${program.url}/api/me`)).json();
  const operator = await Operator.arrive(browser, program);
  await operator.search(user.id);
  await operator.part('User').getByText(ADA.email).waitFor();
  await operator.rows('Logins').getByRole('link').first().click();
  await operator.part('Facts').waitFor();
  await operator.does('Revoke this login');
  await operator.page.getByText('The login was revoked.').waitFor();
  const said = await operator.timeline();
  assert.ok(said.includes('login.revoke_ordered') && said.includes('login.revoked'), said.join(', '));
  await ada.open('/dashboard');
  await ada.isAskedToSignIn();
  await ada.leave();
  await operator.leave();
});

test('a dead letter is put back and heard', async () => {
  await bought(browser, program);
  const operator = await Operator.arrive(browser, program);
  await operator.open('/admin/outbox');
  const dead = operator.rows('Dead letters');
  await dead.first().waitFor();
  const count = await dead.count();
  shop.listens = true;
  await dead.getByRole('link', { name: /^Re-queue/ }).first().click();
  await operator.person.button('Put this effect back').click();
  await operator.page.getByText('The effect was put back').waitFor();
  assert.equal(await operator.rows('Dead letters').count(), count - 1);
  for (const began = Date.now(); shop.heard.length === 0 && Date.now() - began < 10_000;) {
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  assert.equal(shop.heard.length, 1, 'the application hears it');
  shop.listens = false;
  await operator.leave();
});

test('coupons are made and switched', async () => {
  const operator = await Operator.arrive(browser, program);
  await operator.open('/admin/coupons');
  await operator.page.getByLabel('Code').fill('HARVEST');
  await operator.page.getByLabel('Takes off').fill('25');
  await operator.page.getByLabel('At most so many uses').fill('3');
  await operator.person.button('Make the coupon').click();
  const row = operator.rows('All coupons').filter({ hasText: 'HARVEST' });
  await row.filter({ hasText: '25 %' }).filter({ hasText: '0 of 3' }).waitFor();
  await row.getByRole('link', { name: 'Switch off HARVEST' }).click();
  await operator.person.button('Switch this coupon off').click();
  await row.filter({ hasText: 'inactive' }).waitFor();
  await operator.leave();
});

test('the overview shows what happens without a reload', async () => {
  const operator = await Operator.arrive(browser, program);
  const card = operator.page.getByRole('region', { name: 'Checkouts', exact: true });
  const before = Number((await card.locator('.big strong').innerText()).replaceAll(',', ''));
  const ada = await Person.arrive(browser, program);
  const buyer = new Buyer(ada);
  await buyer.reachCheckout('Basic', 'Studio');
  const loads = [];
  operator.page.on('framenavigated', () => loads.push('navigated'));
  await card.locator('.big strong').filter({ hasText: String(before + 1) }).waitFor();
  assert.deepEqual(loads, [], 'the page was not loaded again');
  await operator.person.button('Pause').click();
  assert.equal(await operator.person.button('Pause').getAttribute('aria-pressed'), 'true');
  await operator.page.getByText('Paused', { exact: true }).waitFor();
  await ada.leave();
  await operator.leave();
});

test('with the keyboard alone, and without any script', async () => {
  const made = await shop.payment(USER);
  for (const javaScriptEnabled of [true, false]) {
    const person = await Person.arrive(browser, program, { javaScriptEnabled });
    const { keyboard } = person.page;
    await person.open('/admin');
    // The field has the focus at once.
    await keyboard.type(program.adminToken);
    await keyboard.press('Enter');
    await person.page.getByRole('navigation', { name: 'Dashboard' }).waitFor();
    await reach(person.page, 'Search all sessions');
    await keyboard.type(made.orderId);
    await keyboard.press('Enter');
    await person.page.getByRole('heading', { name: `Found for ${made.orderId}` }).waitFor();
    await reach(person.page, /^pay_/);
    await keyboard.press('Enter');
    await person.page.getByRole('region', { name: 'Timeline' }).waitFor();
    if (javaScriptEnabled) {
      await reach(person.page, 'Cancel this payment');
      await keyboard.press('Enter');
      await person.page.getByRole('heading', { name: 'Cancel this payment?' }).waitFor();
      await reach(person.page, 'Cancel this payment');
      await keyboard.press('Enter');
    }
    await person.page.getByText(javaScriptEnabled ? 'It was cancelled.' : 'failed', { exact: true }).first().waitFor();
    await person.leave();
  }
});

test('a WhatsApp device is looked at, reconnected and stopped', async () => {
  const whatsapp = await WhatsApp.start();
  const desk = await Program.start('admin-whatsapp', { SESSILE_WHATSAPP_SERVER: whatsapp.url, CLIENT_ID: 'front-desk' });
  try {
    const ada = await Person.arrive(browser, desk);
    await ada.open('/whatsapp');
    await ada.page.getByRole('heading', { name: 'Scan to pair' }).waitFor();
    await whatsapp.scan(await seen(ada.page, '[data-qr]'));
    await ada.page.getByRole('heading', { name: 'Connected' }).waitFor({ timeout: 30_000 });
    await ada.leave();

    const operator = await Operator.arrive(browser, desk);
    const rate = operator.page.locator('.rate').filter({ hasText: 'WhatsApp keys stored' });
    await rate.filter({ hasText: '100.0 %' }).waitFor();
    await operator.part('WhatsApp').locator('.big').filter({ hasText: '1 ready' }).waitFor();
    await operator.search('front-desk');
    await operator.rows('WhatsApp').filter({ hasText: 'ready' }).getByRole('link').first().click();
    await operator.part('Facts').getByText('this process', { exact: true }).waitFor();
    await operator.does('Reconnect this device');
    await operator.page.getByText('The device connects anew.').waitFor();
    for (const began = Date.now(); (await operator.page.locator('.state').first().innerText()) !== 'ready';) {
      assert.ok(Date.now() - began < 20_000, 'the device is ready again');
      await operator.open('/admin/whatsapp');
    }
    await operator.rows('WhatsApp').getByRole('link').first().click();
    await operator.does('Stop this device');
    await operator.page.getByText('The device stops, and stays stopped.').waitFor();
    const said = await operator.timeline();
    assert.deepEqual(said.filter((what) => what.startsWith('whatsapp.')).sort(), ['whatsapp.reconnect_ordered', 'whatsapp.stop_ordered']);
    await operator.open('/admin/whatsapp?status=stopped');
    await operator.rows('WhatsApp').filter({ hasText: 'front-desk' }).waitFor();
    await operator.leave();
  } finally {
    await desk.stop();
    whatsapp.stop();
  }
});

/** Presses Tab until something of this name has the focus, which can be seen. */
async function reach(page, name) {
  const passed = [];
  for (let tabs = 0; tabs < 40; tabs += 1) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      return {
        name: element.getAttribute('aria-label') ?? (element.labels?.[0] ?? element).textContent.trim(),
        outline: outlineStyle === 'none' ? 0 : parseFloat(outlineWidth),
      };
    });
    assert.ok(focused.outline >= 2, `focus on “${focused.name}” can be seen`);
    if (typeof name === 'string' ? focused.name === name : name.test(focused.name)) return;
    passed.push(focused.name);
  }
  assert.fail(`“${name}” is not reached; the order is ${passed.join(', ')}`);
}
