// The server is killed and started again, on the same port and the same data, between every two steps of a paid job;
// Stripe and the video service go on meanwhile.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBrowser, Person } from './person.mjs';
import { CARDS, Customer, Studio } from './studio.mjs';

/** A killed worker's lease has to run out before another one goes on. */
const PATIENCE_MS = 90_000;
const RENDER_MS = 6000;
const HEADING = 'Your videos are ready';

let browser, studio;
before(async () => { [browser, studio] = await Promise.all([openBrowser(), Studio.start('generation-restart')]); });
after(async () => { await browser?.close(); await studio?.stop(); });

const kill = async () => assert.equal(await studio.program.restart('SIGKILL'), 'SIGKILL');

test('nothing of a paid job is lost, and nothing is made twice', async () => {
  await studio.renderIn(RENDER_MS);
  const ada = await Person.arrive(browser, studio.program);
  const customer = new Customer(ada);
  ada.expectOutages();
  await customer.write('A train through a valley of glass', 3);
  await kill();
  const id = await customer.goToPay();
  await kill();
  await customer.payWith(CARDS.good);
  await customer.isBack(id);
  await kill();
  // The page is still open: its stream comes back by itself.
  await customer.sees(/^Paid|^Your videos/, PATIENCE_MS);
  await kill();
  await customer.videos.first().waitFor({ timeout: PATIENCE_MS });
  await ada.page.waitForFunction(() => [...document.querySelectorAll('[data-state]')]
    .some((state) => ['Being made', 'Done'].includes(state.textContent)), null, { timeout: PATIENCE_MS });
  await kill();
  await customer.sees(HEADING, PATIENCE_MS);
  await kill();
  await ada.page.reload();
  await customer.sees(HEADING);
  assert.equal((await customer.playAll()).length, 3);
  assert.equal(await studio.generations(), 3);
  await ada.leave();
});
