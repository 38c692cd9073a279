// The pages of paid jobs, light and dark, on a desk and on a phone; with the keyboard alone; and without any script.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { check, SCREENS } from './looks.mjs';
import { openBrowser, Person } from './person.mjs';
import { CARDS, Customer, PROMPT_PATH, Studio } from './studio.mjs';

const PROMPT = 'A paper boat sails down a river of ink, past a city of books. Dusk, soft rain, the camera close to the water.';
const PATIENCE_MS = 30_000;

let browser, studio;
before(async () => { [browser, studio] = await Promise.all([openBrowser(), Studio.start('generation-looks')]); });
after(async () => { await browser?.close(); await studio?.stop(); });

/** A picture of a video and not of the moment before its first frame. */
const framesAreThere = (page) => page.waitForFunction(() =>
  [...document.querySelectorAll('video[src]')].every((video) => video.readyState >= 2));

for (const [screen, options] of SCREENS) {
  for (const colorScheme of ['light', 'dark']) {
    test(`${screen}, ${colorScheme}`, async () => {
      const as = `${screen}-${colorScheme}`;
      const ada = await Person.arrive(browser, studio.program, { ...options, colorScheme });
      const customer = new Customer(ada);
      await ada.open(PROMPT_PATH);
      await check(ada, `video-1-empty-${as}`);
      await customer.write(PROMPT, 3);
      await check(ada, `video-1-prompt-${as}`);
      const id = await customer.goToPay();
      const stripe = ada.page.url();
      await ada.shoot(`video-2-stripe-${as}`);
      ada.expect(`402 ${new URL(stripe).pathname}`);
      await customer.payWith(CARDS.declined);
      await ada.page.getByRole('alert').waitFor();
      await ada.shoot(`video-2-declined-${as}`);
      await ada.open(`/en/payment-success/${id}`);
      await customer.sees('Waiting for your payment');
      await check(ada, `video-3-waiting-${as}`);
      await studio.renderIn(8000);
      await ada.page.goto(stripe);
      await customer.payWith(CARDS.good);
      await customer.isBack(id);
      await customer.seesAllBarsMoving(3);
      await check(ada, `video-4-making-${as}`);
      await customer.sees('Your videos are ready', PATIENCE_MS);
      await framesAreThere(ada.page);
      await check(ada, `video-5-ready-${as}`);
      await studio.renderIn(1500, { kind: 'fail', message: 'The prompt was refused by the safety filter' });
      await customer.order(PROMPT, 3);
      await customer.sees('One video could not be made', PATIENCE_MS);
      await framesAreThere(ada.page);
      await check(ada, `video-6-one-failed-${as}`);
      await studio.renderIn(500, { kind: 'fail', times: 1 });
      await customer.order(PROMPT, 1);
      await customer.sees('Your video could not be made', PATIENCE_MS);
      await check(ada, `video-6-failed-${as}`);
      await ada.open('/en/payment-success/cs_test_nobody_knows_this');
      await check(ada, `video-3-unknown-${as}`);
      await ada.leave();
    });
  }
}

test('with the keyboard alone', async () => {
  await studio.renderIn(500);
  const ada = await Person.arrive(browser, studio.program);
  const { page } = ada;
  const customer = new Customer(ada);
  await ada.open(PROMPT_PATH);
  await page.getByLabel('Prompt').focus();
  await page.keyboard.type('A fox');
  await page.keyboard.press('Tab');
  await page.keyboard.type('2');
  assert.equal(await page.getByLabel('Videos').inputValue(), '2');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.pathname.includes('/c/pay/'));
  await customer.payWith(CARDS.good);
  await customer.sees('Your videos are ready', PATIENCE_MS);
  const video = page.locator('video').first();
  await video.focus();
  await page.keyboard.press('Space');
  await page.waitForFunction(() => document.querySelector('video').currentTime > 0.1);
  await ada.leave();
});

test('without any script the pages say what is missing, and show what there is', async () => {
  await studio.renderIn(500);
  const ada = await Person.arrive(browser, studio.program, { javaScriptEnabled: false });
  await ada.open(PROMPT_PATH);
  assert.match(await ada.page.locator('noscript p').innerText(), /needs JavaScript/);
  await ada.shoot('video-no-script-desktop-light');
  const other = await Person.arrive(browser, studio.program);
  const customer = new Customer(other);
  const id = await customer.order('A fox', 1);
  await customer.sees('Your video is ready', PATIENCE_MS);
  await ada.open(`/en/payment-success/${id}`);
  await ada.page.getByRole('heading', { name: 'Your video is ready' }).waitFor();
  assert.equal(await ada.page.locator('video[src]').count(), 1);
  await other.leave();
  await ada.leave();
});
