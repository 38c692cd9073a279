// Paying, and not paying: a coupon, a cancelled payment and a second try, a refused card, a payment that nobody made in
// time, and a sign-in that leads only to pages of ours.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADA, openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';
import { Buyer, makeCoupon } from './shop.mjs';

let browser, program;
before(async () => { [browser, program] = await Promise.all([openBrowser(), Program.start('payment')]); });
after(async () => { await browser?.close(); await program?.stop(); });

async function signedIn() {
  const ada = await Person.arrive(browser, program);
  await ada.appear();
  return [ada, new Buyer(ada)];
}

test('a coupon for everything: nothing to pay, granted at once', async () => {
  await makeCoupon(program, { code: 'ALLFREE', discountType: 'percentage', discountValue: 100, maxUses: 1 });
  const [ada, buyer] = await signedIn();
  await buyer.reachCheckout('Studio', 'Basic');
  ada.expect('404 /api/coupons/validate');
  await buyer.useCoupon('NOSUCHCODE', /does not exist/);
  assert.equal(await ada.page.getByLabel('Coupon').getAttribute('aria-invalid'), 'true');
  assert.equal(await buyer.total(), "217,500 so'm");
  await buyer.useCoupon('allfree', /applied/);
  assert.equal(await buyer.total(), "0 so'm");
  await ada.shoot('checkout-coupon-desktop-light');
  await ada.page.reload();
  await ada.page.locator('[data-coupon-says]').filter({ hasText: /applied/ }).waitFor();
  await ada.button('Complete the order').click();
  await buyer.seesPayment('Paid. Thank you!');
  assert.match((await buyer.bought())[0], /Morning \(Studio\)[^]*0 so'm/);

  // Its only use is used.
  await buyer.reachCheckout('Plus', 'Plus');
  await buyer.useCoupon('ALLFREE', /cannot be used/);
  await ada.leave();
});

test('a coupon for a part is what CLICK asks for', async () => {
  await makeCoupon(program, { code: 'TENTH', discountType: 'percentage', discountValue: 10 });
  const [ada, buyer] = await signedIn();
  await buyer.reachCheckout('Basic', 'Basic');
  await buyer.useCoupon('TENTH', /applied/);
  assert.equal(await buyer.total(), "78,750 so'm");
  await ada.shoot('checkout-desktop-light');
  await buyer.goToPay();
  await ada.page.getByText("78750.00 so'm").waitFor();
  await buyer.atClick('Pay');
  await buyer.seesPayment('Paid. Thank you!');
  await ada.leave();
});

test('cancelled at CLICK before anything was entered: back to the checkout, and paid at the second try', async () => {
  const [ada, buyer] = await signedIn();
  const id = await buyer.reachCheckout('Plus', 'Basic');
  await buyer.goToPay();
  await buyer.atClick('Cancel');
  await buyer.seesPayment('Waiting for your payment');
  await ada.shoot('payment-pending-desktop-light');
  await ada.page.getByRole('link', { name: 'Back to the checkout' }).click();
  assert.equal(await buyer.isAt('/checkout'), id);
  await buyer.goToPay();
  await buyer.atClick('Pay');
  await buyer.seesPayment('Paid. Thank you!');
  await ada.leave();
});

test('cancelled after the card was entered: the payment failed, the order stays, the second try is another payment', async () => {
  const [ada, buyer] = await signedIn();
  const id = await buyer.reachCheckout('Basic', 'Plus');
  await buyer.goToPay();
  await ada.page.getByText('More', { exact: true }).click();
  await buyer.atClick('Enter the card, do not confirm yet');
  await ada.page.getByText('waiting for your confirmation').waitFor();

  // Meanwhile nothing about the order can be changed, and the checkout says so.
  const tab = await ada.openTab();
  await tab.goto(`${program.url}/checkout?sessionId=${id}`);
  await tab.getByText('CLICK is working on a payment').waitFor();
  await tab.getByRole('link', { name: 'See the payment' }).click();
  await tab.getByRole('heading', { name: 'CLICK is working on it' }).waitFor();

  await buyer.atClick('Cancel');
  const failed = await buyer.seesPayment('The payment was cancelled');
  await tab.getByRole('heading', { name: 'The payment was cancelled' }).waitFor();
  await ada.shoot('payment-failed-desktop-light');
  await ada.page.getByRole('link', { name: 'Try again' }).click();
  assert.equal(await buyer.isAt('/checkout'), id);
  await buyer.goToPay();
  await buyer.atClick('Pay');
  assert.notEqual(await buyer.seesPayment('Paid. Thank you!'), failed);
  await ada.leave();
});

test('the bank refuses the card', async () => {
  const [ada, buyer] = await signedIn();
  await buyer.reachCheckout('Studio', 'Studio');
  await buyer.goToPay();
  await ada.page.getByText('More', { exact: true }).click();
  await buyer.atClick('The bank refuses the card');
  await buyer.seesPayment('The payment was cancelled');
  await ada.leave();
});

test('a payment that nobody made in time, and another one', async () => {
  const [ada, buyer] = await signedIn();
  await buyer.reachCheckout('Basic', 'Studio');
  await buyer.goToPay();
  const order = new URL(ada.page.url()).searchParams.get('transaction_param');
  await ada.open(`/payment/${order}`);
  await buyer.seesPayment('Waiting for your payment');
  program.age('payment', order, 60 * 60);
  // The page that waits notices by itself.
  await buyer.seesPayment('The time to pay is over');
  await ada.shoot('payment-expired-desktop-light');
  await ada.page.getByRole('link', { name: 'Try again' }).click();
  await buyer.goToPay();
  await buyer.atClick('Pay');
  await buyer.seesPayment('Paid. Thank you!');
  await ada.leave();
});

test('a payment is shown to its owner only', async () => {
  const [ada, buyer] = await signedIn();
  await buyer.reachCheckout('Plus', 'Studio');
  await buyer.goToPay();
  const order = new URL(ada.page.url()).searchParams.get('transaction_param');

  const stranger = await Person.arrive(browser, program);
  await stranger.open(`/payment/${order}`);
  await stranger.isAskedToSignIn();
  stranger.expect(`404 /payment/${order}`);
  await stranger.page.getByRole('button', { name: 'Grace Hopper' }).click();
  await stranger.page.getByRole('heading', { name: 'Not found' }).waitFor();
  await stranger.rememberCookie();
  await stranger.leave();
  await ada.leave();
});

test('a sign-in leads to pages of ours and nowhere else', async () => {
  const who = `email=${encodeURIComponent(ADA.email)}&whop=${ADA.id}`;
  for (const [returnTo, arrives] of [
    ['/add?sessionId=x', '/add?sessionId=x'],
    ['//elsewhere.example/', '/dashboard'],
    ['https://elsewhere.example/', '/dashboard'],
    ['/\\elsewhere.example', '/dashboard'],
    ['/logout', '/dashboard'],
  ]) {
    const answer = await fetch(`${program.url}/auth/dev?${who}&returnTo=${encodeURIComponent(returnTo)}`, {
      redirect: 'manual', signal: AbortSignal.timeout(5000),
    });
    assert.equal(answer.headers.get('location'), arrives, returnTo);
  }
});
