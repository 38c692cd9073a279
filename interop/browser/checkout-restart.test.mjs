// The server is killed and started again, on the same port and the same data, between every two steps of an order.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';
import { Buyer } from './shop.mjs';

let browser, program;
before(async () => { [browser, program] = await Promise.all([openBrowser(), Program.start('checkout-restart')]); });
after(async () => { await browser?.close(); await program?.stop(); });

const kill = async () => assert.equal(await program.restart('SIGKILL'), 'SIGKILL');

test('nothing of an order is lost', async () => {
  const ada = await Person.arrive(browser, program);
  const buyer = new Buyer(ada);
  ada.expectOutages();
  await ada.open('/add');
  await kill();
  await buyer.addTracks();
  await kill();
  assert.equal(await buyer.choose('Plus', 'Basic'), "127,500 so'm");
  await kill();
  const first = await buyer.continueToCheckout();
  await kill();
  assert.equal(await buyer.backToPackages(), first);
  await kill();
  assert.equal(await buyer.choose('Studio'), "217,500 so'm");
  await kill();
  const id = await buyer.continueToCheckout();
  await kill();
  assert.equal(await buyer.signInToPay(), id, "a guest's checkout outlives the server");
  await kill();
  await buyer.goToPay();
  const order = new URL(ada.page.url()).searchParams.get('transaction_param');

  // The stand-in ended with the server, so its page is gone: back, and the same payment goes on.
  await kill();
  await ada.open(`/checkout?sessionId=${id}`);
  await buyer.goToPay();
  assert.equal(new URL(ada.page.url()).searchParams.get('transaction_param'), order);
  await buyer.atClick('Pay');
  assert.equal(await buyer.seesPayment('Paid. Thank you!'), order);
  await kill();
  await ada.page.reload();
  await buyer.seesPayment('Paid. Thank you!');
  assert.match((await buyer.bought())[0], /Morning \(Studio\), Evening \(Basic\)[^]*217,500 so'm/);
  await ada.leave();
});

test('a page that waits for a payment goes on when the server is back', async () => {
  const ada = await Person.arrive(browser, program);
  const buyer = new Buyer(ada);
  ada.expectOutages();
  await ada.appear();
  await buyer.reachCheckout('Basic', 'Basic');
  await buyer.goToPay();
  await buyer.atClick('Cancel');
  const order = await buyer.seesPayment('Waiting for your payment');
  await kill();
  const tab = await ada.openTab();
  const waits = ada.page;
  ada.use(tab);
  await ada.open('/dashboard');
  await ada.page.getByRole('link', { name: 'Continue your order' }).click();
  await buyer.isAt('/checkout');
  await buyer.goToPay();
  await buyer.atClick('Pay');
  assert.equal(await buyer.seesPayment('Paid. Thank you!'), order);
  await waits.getByRole('heading', { name: 'Paid. Thank you!' }).waitFor();
  await ada.leave();
});
