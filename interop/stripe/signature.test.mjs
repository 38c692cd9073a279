// Stripe's own SDK signs and we verify; we sign and it verifies.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import Stripe from 'stripe';
import { judge, sign } from './ours.mjs';

const { webhooks } = Stripe;
const SECRET = 'whsec_test_secret';
const NEWER = 'whsec_the_next_one';
const NOW = 1_700_000_000;
const TOLERANCE = 300;
const BODY = '{"id":"evt_test_1","object":"event","type":"checkout.session.completed","data":{"object":'
  + '{"id":"cs_test_1","object":"checkout.session","status":"complete","payment_status":"paid"}}}';
const VECTOR = 'd44310e344a66f6e4a98f24621633cfd43a50ccd7b5ee91a2e66280381a10736';
const BODIES = {
  'the vector': BODY,
  'pretty-printed': JSON.stringify(JSON.parse(BODY), null, 2),
  'every script and an emoji': JSON.stringify({ id: 'evt_2', object: 'event', prompt: '🛶 קובץ عربي 中文 \u2028 \\ "' }),
  large: JSON.stringify({ id: 'evt_3', object: 'event', text: 'x'.repeat(200_000) }),
};

/** Stripe's header for a body. */
const theirs = (payload, secret = SECRET, timestamp = NOW) => webhooks.generateTestHeaderString({ payload, secret, timestamp });

/** What Stripe's SDK says of a header, at `now`. */
function theyJudge(header, body, secret = SECRET, now = NOW) {
  let event;
  try {
    event = webhooks.constructEvent(body, header, secret, TOLERANCE, undefined, now * 1000);
  } catch (error) {
    return error.message;
  }
  assert.deepEqual(event, JSON.parse(body));
  return 'believed';
}

test('the vector is the same on both sides', () => {
  assert.equal(theirs(BODY), `t=${NOW},v1=${VECTOR}`);
  assert.equal(sign(BODY, SECRET, NOW), `t=${NOW},v1=${VECTOR}`);
});

for (const [name, body] of Object.entries(BODIES)) {
  test(`each believes the other: ${name}`, () => {
    assert.equal(sign(body, SECRET, NOW), theirs(body));
    assert.equal(judge(theirs(body), body, SECRET, NOW), 'believed');
    assert.equal(theyJudge(sign(body, SECRET, NOW), body), 'believed');
  });
}

test('a changed body is believed by neither', () => {
  for (const changed of [BODY.replace('"paid"', '"unpaid"'), `${BODY}\n`, BODY.slice(0, -1), BODY.replace(':', ': ')]) {
    assert.match(judge(theirs(BODY), changed, SECRET, NOW), /no signature fits/);
    assert.match(theyJudge(sign(BODY, SECRET, NOW), changed), /No signatures found matching/);
  }
});

test('another secret is believed by neither', () => {
  assert.match(judge(theirs(BODY, NEWER), BODY, SECRET, NOW), /no signature fits/);
  assert.match(theyJudge(sign(BODY, NEWER, NOW), BODY), /No signatures found matching/);
});

test('of two v1 either may fit, in any order, beside schemes that nobody knows', () => {
  const wrong = '0'.repeat(64);
  for (const header of [
    `t=${NOW},v1=${wrong},v1=${VECTOR}`, `t=${NOW},v1=${VECTOR},v1=${wrong}`, `v1=${VECTOR},v0=${wrong},t=${NOW}`,
  ]) {
    assert.equal(judge(header, BODY, SECRET, NOW), 'believed', header);
    assert.equal(theyJudge(header, BODY), 'believed', header);
  }
  assert.match(judge(`t=${NOW},v0=${VECTOR}`, BODY, SECRET, NOW), /without a v1 signature/);
  assert.match(theyJudge(`t=${NOW},v0=${VECTOR}`, BODY), /No signatures found with expected scheme/);
});

test('while a secret rotates, both sides of the change are believed', () => {
  // Stripe signs with the old one, the new one, or both; we know both.
  for (const secret of [SECRET, NEWER]) {
    assert.equal(judge(theirs(BODY, secret), BODY, [NEWER, SECRET], NOW), 'believed');
  }
  const both = `${theirs(BODY, NEWER)},${theirs(BODY).split(',')[1]}`;
  assert.equal(sign(BODY, [NEWER, SECRET], NOW), both);
  for (const secret of [SECRET, NEWER]) {
    assert.equal(judge(both, BODY, secret, NOW), 'believed');
    assert.equal(theyJudge(sign(BODY, [NEWER, SECRET], NOW), BODY, secret), 'believed');
  }
  assert.match(judge(theirs(BODY), BODY, [NEWER, 'whsec_third'], NOW), /no signature fits/);
});

test('300 seconds old is believed, 301 are not, by both', () => {
  const header = theirs(BODY);
  assert.equal(sign(BODY, SECRET, NOW), header);
  for (const [age, ours, stripe] of [[300, /^believed$/, /^believed$/], [301, /301 s old/, /outside the tolerance/]]) {
    assert.match(judge(header, BODY, SECRET, NOW + age), ours);
    assert.match(theyJudge(header, BODY, SECRET, NOW + age), stripe);
  }
});

test('300 seconds ahead is believed, 301 are not by us, although the SDK takes any', () => {
  const header = theirs(BODY);
  assert.equal(judge(header, BODY, SECRET, NOW - 300), 'believed');
  assert.match(judge(header, BODY, SECRET, NOW - 301), /301 s ahead/);
  assert.equal(theyJudge(header, BODY, SECRET, NOW - 301), 'believed');
});

test('headers that say nothing are believed by neither', () => {
  for (const header of ['', 't=,v1=', `v1=${VECTOR}`, `t=${NOW}`, 'nonsense', `t=${NOW},v1=`, `t=${NOW},v1=${VECTOR.slice(1)}`]) {
    assert.notEqual(judge(header, BODY, SECRET, NOW), 'believed', header);
    assert.notEqual(theyJudge(header, BODY), 'believed', header);
  }
});

test('two times in one header are refused by us', () => {
  assert.match(judge(`t=1,t=${NOW},v1=${VECTOR}`, BODY, SECRET, NOW), /more than one time/);
  // Stripe writes lower-case hex, and so do both of us.
  assert.match(judge(`t=${NOW},v1=${VECTOR.toUpperCase()}`, BODY, SECRET, NOW), /no signature fits/);
  assert.match(theyJudge(`t=${NOW},v1=${VECTOR.toUpperCase()}`, BODY), /No signatures found matching/);
});
