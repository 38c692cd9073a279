// Messages that Stripe's own SDK signed, at the program's webhook; and the stand-in's messages as the SDK reads them.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import Stripe from 'stripe';
import { Studio } from '../browser/studio.mjs';
import { sdk } from './ours.mjs';

const { webhooks } = Stripe;
let studio, secret;
before(async () => {
  studio = await Studio.start('stripe-sdk-webhook');
  secret = studio.settings.STRIPE_WEBHOOK_SECRET;
});
after(() => studio?.stop());

let serial = 0;
const event = () => JSON.stringify({
  id: `evt_sdk_${serial += 1}`, object: 'event', api_version: Stripe.API_VERSION, created: 1_700_000_000, livemode: false,
  type: 'checkout.session.completed',
  data: { object: { id: `cs_test_sdk_${serial}`, object: 'checkout.session', status: 'complete', payment_status: 'unpaid' } },
});

async function deliver(payload, options = {}) {
  const timestamp = Math.floor(Date.now() / 1000) + (options.ahead ?? 0);
  const header = webhooks.generateTestHeaderString({ payload, secret: options.secret ?? secret, timestamp });
  const answer = await fetch(`${studio.program.url}/api/webhooks/stripe`, {
    method: 'POST', headers: { 'content-type': 'application/json', 'stripe-signature': options.header ?? header },
    body: options.body ?? payload, signal: AbortSignal.timeout(10_000),
  });
  return { status: answer.status, body: await answer.json() };
}

test('what the SDK signs is received, also a second time', async () => {
  const payload = event();
  for (const _ of [1, 2]) {
    assert.deepEqual(await deliver(payload), { status: 200, body: { received: true } });
  }
});

test('what nobody signed, or signed otherwise, is not', async () => {
  const refused = { status: 400, body: { error: 'Invalid signature' } };
  assert.deepEqual(await deliver(event(), { secret: 'whsec_somebody_else' }), refused);
  assert.deepEqual(await deliver(event(), { body: event() }), refused);
  assert.deepEqual(await deliver(event(), { header: 't=1,v1=0' }), refused);
  assert.deepEqual(await deliver(event(), { ahead: -330 }), refused);
  assert.deepEqual(await deliver(event(), { ahead: 330 }), refused);
});

test("the SDK believes and reads the stand-in's own messages", async () => {
  const received = [];
  const endpoint = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
      received.push(webhooks.constructEvent(Buffer.concat(chunks), request.headers['stripe-signature'], secret));
      response.end();
    } catch (error) {
      received.push(error);
      response.writeHead(400).end();
    }
  }).listen(0, '127.0.0.1');
  await once(endpoint, 'listening');
  try {
    await studio.sendWebhooksTo(`http://127.0.0.1:${endpoint.address().port}/`);
    const stripe = sdk(studio.settings);
    const session = await stripe.checkout.sessions.create({
      mode: 'payment', line_items: [{ price: studio.settings.STRIPE_PRICE_SINGLE, quantity: 1 }],
      success_url: 'https://shop.example/done',
    });
    await studio.atStripe('pay', session.id);
    const began = Date.now();
    const completed = () => received.find((each) => each.type === 'checkout.session.completed');
    while (!completed()) {
      assert.ok(Date.now() - began < 10_000, `received ${received.map((each) => each.type ?? each)}`);
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    const { id, object, payment_status: money } = completed().data.object;
    assert.deepEqual([id, object, money], [session.id, 'checkout.session', 'paid']);
    assert.ok(received.every((each) => each.object === 'event'), `${received}`);
    assert.equal((await stripe.events.retrieve(completed().id)).type, 'checkout.session.completed');
  } finally {
    endpoint.close();
    endpoint.closeAllConnections();
  }
});
