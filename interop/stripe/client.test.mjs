// Stripe's own SDK against the stand-in Stripe: what it asks for is answered as the real one would, and what is wrong is
// refused with the errors that it knows.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import Stripe from 'stripe';
import { Studio } from '../browser/studio.mjs';
import { sdk } from './ours.mjs';

const { errors } = Stripe;
let studio, stripe, price;
before(async () => {
  studio = await Studio.start('stripe-sdk-client');
  stripe = sdk(studio.settings);
  price = studio.settings.STRIPE_PRICE_SINGLE;
});
after(() => studio?.stop());

const order = (more = {}) => ({
  mode: 'payment',
  line_items: [{ price, quantity: 3 }],
  success_url: 'https://shop.example/done/{CHECKOUT_SESSION_ID}',
  cancel_url: 'https://shop.example/back',
  client_reference_id: 'gen_1',
  metadata: { video_count: '3', tool: 'veo3-generator' },
  ...more,
});

test('a Checkout Session is created, retrieved, listed and expired', async () => {
  const made = await stripe.checkout.sessions.create(order());
  assert.equal(made.object, 'checkout.session');
  assert.match(made.id, /^cs_test_/);
  assert.deepEqual([made.status, made.payment_status, made.mode, made.livemode], ['open', 'unpaid', 'payment', false]);
  assert.deepEqual([made.amount_total, made.currency, made.client_reference_id], [897, 'usd', 'gen_1']);
  assert.deepEqual({ ...made.metadata }, { video_count: '3', tool: 'veo3-generator' });
  assert.ok(made.expires_at > made.created);
  assert.match(made.lastResponse.requestId, /^req_/);
  assert.equal(made.lastResponse.apiVersion, Stripe.API_VERSION);
  assert.equal((await fetch(made.url)).status, 200, 'the payment page is there');

  const read = await stripe.checkout.sessions.retrieve(made.id, { expand: ['line_items'] });
  assert.equal(read.id, made.id);
  assert.deepEqual(read.line_items.data.map((item) => [item.price.id, item.quantity]), [[price, 3]]);
  const items = await stripe.checkout.sessions.listLineItems(made.id);
  assert.equal(items.data[0].amount_total, 897);

  const ended = await stripe.checkout.sessions.expire(made.id);
  assert.deepEqual([ended.status, ended.url], ['expired', null]);
  await assert.rejects(stripe.checkout.sessions.expire(made.id), (error) => {
    assert.ok(error instanceof errors.StripeInvalidRequestError, error.stack);
    assert.match(error.message, /status of `expired`/);
    return true;
  });
});

test('the same Idempotency-Key is the same session, and another body under it is refused', async () => {
  const idempotencyKey = randomUUID();
  const first = await stripe.checkout.sessions.create(order(), { idempotencyKey });
  const again = await stripe.checkout.sessions.create(order(), { idempotencyKey });
  assert.equal(again.id, first.id);
  assert.equal(again.lastResponse.headers['idempotent-replayed'], 'true');
  await assert.rejects(stripe.checkout.sessions.create(order({ client_reference_id: 'gen_2' }), { idempotencyKey }),
    errors.StripeIdempotencyError);
});

test('what is wrong comes as the error that the SDK knows', async () => {
  const wrong = async (call, type, code, param) => assert.rejects(call, (error) => {
    assert.ok(error instanceof type, error.stack);
    assert.deepEqual([error.code, error.param], [code, param], error.message);
    return true;
  });
  const { sessions } = stripe.checkout;
  const unknown = order({ line_items: [{ price: 'price_nowhere', quantity: 1 }] });
  await wrong(sessions.create(unknown), errors.StripeInvalidRequestError, 'resource_missing', 'line_items[0][price]');
  await wrong(sessions.create({ ...order(), success_url: undefined }), errors.StripeInvalidRequestError, 'parameter_missing',
    'success_url');
  await wrong(sessions.retrieve('cs_test_nobody'), errors.StripeInvalidRequestError, 'resource_missing', 'id');
  await assert.rejects(sdk({ ...studio.settings, STRIPE_SECRET_KEY: 'sk_test_somebody_else' }).prices.list(),
    errors.StripeAuthenticationError);
});

test('prices are listed, with their products and over pages', async () => {
  const all = await stripe.prices.list({ active: true, expand: ['data.product'] }).autoPagingToArray({ limit: 100 });
  const single = all.find((each) => each.id === price);
  assert.deepEqual([single.object, single.unit_amount, single.currency, single.active], ['price', 299, 'usd', true]);
  assert.equal(typeof single.product.name, 'string');
  const ids = [];
  for await (const each of stripe.prices.list({ limit: 1 })) ids.push(each.id);
  assert.deepEqual(ids.toSorted(), [...new Set(ids)].toSorted());
  assert.ok(ids.length >= 2, `${ids}`);
  assert.equal((await stripe.prices.retrieve(price)).id, price);
});

test('a paid session is refunded, once, and not beyond what was paid', async () => {
  const { id } = await stripe.checkout.sessions.create(order());
  await studio.atStripe('pay', id);
  const paid = await stripe.checkout.sessions.retrieve(id, { expand: ['payment_intent'] });
  assert.deepEqual([paid.status, paid.payment_status, paid.payment_intent.status], ['complete', 'paid', 'succeeded']);
  const refund = await stripe.refunds.create({ payment_intent: paid.payment_intent.id });
  assert.deepEqual([refund.object, refund.amount, refund.status], ['refund', 897, 'succeeded']);
  await assert.rejects(stripe.refunds.create({ payment_intent: paid.payment_intent.id }), (error) => {
    assert.equal(error.code, 'charge_already_refunded', error.stack);
    return true;
  });
});

test('the SDK repeats by itself what the stand-in did not carry out', async () => {
  await studio.stripeMisbehaves('api_500', 'lost_reply');
  const made = await stripe.checkout.sessions.create(order());
  assert.equal(made.status, 'open');
  const { data } = await stripe.checkout.sessions.list({ limit: 100 });
  assert.equal(data.filter((each) => each.id === made.id).length, 1);
});
