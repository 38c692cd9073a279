// The wizard's pages, light and dark, on a desk and on a phone; and the whole of it with the keyboard alone.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { check, SCREENS } from './looks.mjs';
import { openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';
import { Buyer } from './shop.mjs';

let browser, program;
before(async () => { [browser, program] = await Promise.all([openBrowser(), Program.start('wizard-looks')]); });
after(async () => { await browser?.close(); await program?.stop(); });

for (const [screen, options] of SCREENS) {
  for (const colorScheme of ['light', 'dark']) {
    test(`${screen}, ${colorScheme}`, async () => {
      const as = `${screen}-${colorScheme}`;
      const ada = await Person.arrive(browser, program, { ...options, colorScheme });
      const buyer = new Buyer(ada);
      await ada.open('/add');
      await ada.button('Add another track').click();
      await check(ada, `wizard-1-add-${as}`);
      await buyer.addTracks([['Morning', 'Ada'], ['A title that goes on and on, as some titles do', 'Grace']]);
      await buyer.choose('Plus', 'Basic');
      await check(ada, `wizard-2-packages-${as}`);
      await buyer.continueToCheckout();
      await check(ada, `wizard-3-checkout-guest-${as}`);
      await buyer.signInToPay();
      await check(ada, `wizard-3-checkout-${as}`);
      await buyer.goToPay();
      await buyer.atClick('Cancel');
      await buyer.seesPayment('Waiting for your payment');
      await check(ada, `wizard-4-payment-pending-${as}`);
      await ada.page.goBack();
      await buyer.atClick('Pay');
      await buyer.seesPayment('Paid. Thank you!');
      await check(ada, `wizard-4-payment-completed-${as}`);
      await ada.open('/dashboard');
      await check(ada, `dashboard-bought-${as}`);
      await ada.leave();
    });
  }
}

test('with the keyboard alone', async () => {
  const ada = await Person.arrive(browser, program);
  const { page } = ada;
  await ada.appear();
  await ada.open('/add');
  const title = page.getByLabel('Title');
  await title.focus();
  await page.keyboard.type('Morning');
  await page.keyboard.press('Tab');
  await page.keyboard.type('Ada');
  await page.keyboard.press('Enter');
  const buyer = new Buyer(ada);
  await buyer.isAt('/packages');
  await page.getByRole('radio').first().focus();
  await page.keyboard.press('Space');
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.getByRole('radio').nth(1).isChecked(), true);
  await page.locator('dd[data-total]').filter({ hasText: '90,000' }).waitFor();
  await page.keyboard.press('Enter');
  await buyer.isAt('/checkout');
  await buyer.payButton.focus();
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.pathname.endsWith('/services/pay'));
  await ada.leave();
});

test('without any script the pages say what is missing', async () => {
  const ada = await Person.arrive(browser, program, { javaScriptEnabled: false });
  await ada.open('/add');
  const notice = ada.page.locator('noscript p');
  assert.match(await notice.innerText(), /needs JavaScript/);
  assert.ok(await notice.isVisible());
  await ada.shoot('wizard-no-script-desktop-light');
  await ada.leave();
});
