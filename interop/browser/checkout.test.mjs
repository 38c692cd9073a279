// The wizard as buyers use it: straight through, back and forth, in two tabs, too late, and with an address that means
// nothing. The four things that used to go wrong: a changed package renews the checkout, an expired one is recovered,
// an invalid one leads back kindly, and of several the older ones give way.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';
import { Buyer, DAY_AND_MORE_S } from './shop.mjs';

const VALIDATE = '/api/validate-checkout-session';
const RECOVER = '/api/recover-checkout-session';

let browser, program;
before(async () => { [browser, program] = await Promise.all([openBrowser(), Program.start('checkout')]); });
after(async () => { await browser?.close(); await program?.stop(); });

async function arrive() {
  const person = await Person.arrive(browser, program);
  return [person, new Buyer(person)];
}

/** The page's own cookies, asking about a checkout. */
const reasonOf = (page, id) => page.evaluate(async ([path, sessionId]) => {
  const answer = await fetch(path, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sessionId }),
  });
  return (await answer.json()).reason ?? 'valid';
}, [VALIDATE, id]);

test('from the landing page to a paid order', async () => {
  const [ada, buyer] = await arrive();
  await ada.open('/');
  await ada.page.getByRole('link', { name: 'Place an order' }).click();
  await buyer.isAt('/add');
  assert.match(await buyer.step(), /Tracks/);
  await buyer.addTracks();
  assert.match(await buyer.step(), /Packages/);
  assert.equal(await buyer.choose('Plus', 'Basic'), "127,500 so'm", 'the second track costs a quarter less');
  const id = await buyer.continueToCheckout();
  assert.match(await buyer.step(), /Checkout/);
  assert.equal(await buyer.total(), "127,500 so'm");
  assert.equal(await buyer.signInToPay(), id, "a guest's checkout is the user's after signing in");
  await buyer.goToPay();
  await ada.page.getByText('127500.00 so\'m').waitFor();
  await buyer.atClick('Pay');
  await buyer.seesPayment('Paid. Thank you!');
  assert.match(await buyer.step(), /Payment/);
  await ada.page.getByRole('link', { name: 'Go to your dashboard' }).click();
  await ada.isOn('/dashboard');
  const [line, ...others] = await buyer.bought();
  assert.match(line, /Morning \(Plus\), Evening \(Basic\)[^]*127,500 so'm/);
  assert.deepEqual(others, []);

  // The address of a paid order leads to the dashboard.
  await ada.open(`/checkout?sessionId=${id}`);
  await ada.page.getByRole('heading', { name: 'Already paid' }).waitFor();
  await ada.isOn('/dashboard');
  await ada.leave();
});

test('a draft survives a reload, and a track can be taken out again', async () => {
  const [ada, buyer] = await arrive();
  await buyer.addTracks();
  await buyer.choose('Plus', 'Basic');
  await ada.page.reload();
  assert.equal(await buyer.total(), "127,500 so'm");
  await ada.page.getByRole('link', { name: 'Back to tracks' }).click();
  await buyer.isAt('/add');
  await ada.button('Remove track 1').click();
  await ada.page.reload();
  const only = ada.page.getByRole('group', { name: 'Track 1' });
  assert.equal(await only.getByLabel('Title').inputValue(), 'Evening');
  await ada.button('Continue to packages').click();
  assert.equal(await buyer.total(), "50,000 so'm", 'its package stayed with the track');
  await ada.leave();
});

test('back to packages and another package, twice', async () => {
  const [ada, buyer] = await arrive();
  const first = await buyer.reachCheckout('Basic', 'Basic');
  assert.equal(await buyer.total(), "87,500 so'm");
  assert.equal(await buyer.backToPackages(), first);
  assert.equal(await buyer.choose('Studio'), "217,500 so'm", 'what was chosen before is still chosen');
  const second = await buyer.continueToCheckout();
  assert.notEqual(second, first);
  await buyer.backToPackages();
  assert.equal(await buyer.choose('Plus', 'Plus'), "157,500 so'm");
  const third = await buyer.continueToCheckout();
  assert.equal(await buyer.total(), "157,500 so'm");
  ada.expect(`400 ${VALIDATE}`);
  assert.deepEqual(
    await Promise.all([first, second, third].map((id) => reasonOf(ada.page, id))),
    ['expired', 'expired', 'valid'],
  );
  // The same choice again is the same checkout.
  await buyer.backToPackages();
  assert.equal(await buyer.continueToCheckout(), third);
  assert.equal(await buyer.signInToPay(), third);
  await buyer.goToPay();
  await ada.page.getByText('157500.00 so\'m').waitFor();
  await buyer.atClick('Pay');
  await buyer.seesPayment('Paid. Thank you!');
  await ada.leave();
});

test('a checkout that expires while it is looked at is paid for all the same', async () => {
  const [ada, buyer] = await arrive();
  await ada.appear();
  const id = await buyer.reachCheckout();
  program.age('checkout', id, DAY_AND_MORE_S);
  ada.expect(`400 ${VALIDATE}`);
  await buyer.goToPay();
  await buyer.atClick('Pay');
  await buyer.seesPayment('Paid. Thank you!');
  await ada.leave();
});

test('an expired checkout is recovered where its address is opened, also for a guest', async () => {
  const [ada, buyer] = await arrive();
  const id = await buyer.reachCheckout('Plus', 'Basic');
  program.age('checkout', id, DAY_AND_MORE_S);
  await ada.open(`/checkout?sessionId=${id}`);
  await ada.page.waitForURL((url) => url.pathname === '/checkout' && url.searchParams.get('sessionId') !== id);
  assert.equal(await buyer.total(), "127,500 so'm");
  const next = await buyer.isAt('/checkout');
  // On the way back to packages as well, without losing the step.
  program.age('checkout', next, DAY_AND_MORE_S);
  ada.expect(`400 ${VALIDATE}`);
  await ada.open(`/packages?sessionId=${next}`);
  assert.equal(await buyer.total(), "127,500 so'm");
  assert.notEqual(await buyer.isAt('/packages'), next);
  await buyer.continueToCheckout();
  await ada.leave();
});

test('two tabs: the older choice gives way, and the older tab is led to the newer one', async () => {
  const [ada, buyer] = await arrive();
  await ada.appear();
  const older = await buyer.reachCheckout('Basic', 'Basic');
  const [one, two] = [ada.page, await ada.openTab()];
  ada.use(two);
  await ada.open(`/packages?sessionId=${older}`);
  await buyer.choose('Studio', 'Studio');
  const newer = await buyer.continueToCheckout();

  // Nobody pays unseen for something else than the page shows.
  ada.use(one);
  ada.expect(`400 ${VALIDATE}`);
  await buyer.payButton.click();
  await ada.page.getByText('Your order has changed').waitFor();
  await ada.page.waitForURL((url) => url.searchParams.get('sessionId') === newer);
  assert.equal(await buyer.total(), "315,000 so'm");

  // Both tabs pay: that is one payment.
  await buyer.goToPay();
  ada.use(two);
  await buyer.goToPay();
  const orders = [one, two].map((tab) => new URL(tab.url()).searchParams.get('transaction_param'));
  assert.equal(orders[0], orders[1]);
  await buyer.atClick('Pay');
  await buyer.seesPayment('Paid. Thank you!');
  const lines = await buyer.bought();
  assert.equal(lines.filter((line) => line.includes('Studio')).length, 1);
  await ada.leave();
});

test('two tabs that recover the same expired checkout get the same successor', async () => {
  const [ada, buyer] = await arrive();
  const id = await buyer.reachCheckout();
  program.age('checkout', id, DAY_AND_MORE_S);
  const tabs = [ada.page, await ada.openTab()];
  await Promise.all(tabs.map((tab) => tab.goto(`${program.url}/checkout?sessionId=${id}`)));
  await Promise.all(tabs.map((tab) => tab.waitForURL((url) => url.searchParams.get('sessionId') !== id)));
  assert.equal(tabs[0].url(), tabs[1].url());
  await ada.leave();
});

test('an address that means nothing leads back kindly', async () => {
  const [ada, buyer] = await arrive();
  ada.expect(`400 ${VALIDATE}`);
  ada.expect(`400 ${RECOVER}`);
  for (const path of ['/checkout?sessionId=cs_not_a_checkout', '/packages?sessionId=cs_not_a_checkout']) {
    await ada.open(path);
    await ada.page.getByText('Let us start again').waitFor();
    if (path.startsWith('/checkout')) await ada.shoot('checkout-not-found-desktop-light');
    await buyer.isAt('/add');
  }
  for (const path of ['/checkout', '/packages']) {
    await ada.open(path);
    await ada.page.getByText('Let us start again').waitFor();
    await buyer.isAt('/add');
  }
  await ada.leave();
});

test("somebody else's checkout is not found", async () => {
  const [ada, buyer] = await arrive();
  const id = await buyer.reachCheckout();
  const [grace, stranger] = await arrive();
  await grace.signIn(/Grace Hopper/);
  grace.expect(`404 ${RECOVER}`);
  await grace.open(`/checkout?sessionId=${id}`);
  await grace.page.getByText('Let us start again').waitFor();
  await stranger.isAt('/add');
  await ada.page.reload();
  assert.equal(await buyer.total(), "87,500 so'm", 'and it is still there for whoever made it');
  await ada.leave();
  await grace.leave();
});
