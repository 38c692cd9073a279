// A paid job as people see it: a prompt, Stripe's page, a bar for every video, and videos that play; and what they see
// when a card is declined, when the money comes later, and when a video cannot be made.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBrowser, Person } from './person.mjs';
import { post } from './shop.mjs';
import { CARDS, Customer, PROMPT_PATH, Studio } from './studio.mjs';

const PLAYABLE = { width: 320, height: 180 };
const PATIENCE_MS = 30_000;
const LARGE_MS = 60_000;
/** Long enough to see the bars move: progress is looked at every two seconds. */
const RENDER_MS = 6000;

let browser, studio;
before(async () => { [browser, studio] = await Promise.all([openBrowser(), Studio.start('generation')]); });
after(async () => { await browser?.close(); await studio?.stop(); });

async function arrive() {
  const person = await Person.arrive(browser, studio.program);
  return [person, new Customer(person)];
}

test('from a prompt to three videos that play', async () => {
  await studio.renderIn(RENDER_MS);
  const [ada, customer] = await arrive();
  const before = await studio.generations();
  await customer.write('A paper boat on a river of ink 🛶 נהר', 3);
  const id = await customer.goToPay();
  await ada.page.getByText(/8\.97 USD/).first().waitFor();
  await customer.payWith(CARDS.good);
  await customer.isBack(id);
  await customer.sees('Paid. Your videos are being made');
  const first = await customer.seesAllBarsMoving(3);
  await ada.page.waitForFunction((seen) => {
    const bars = [...document.querySelectorAll('progress')];
    return bars.every((bar, at) => bar.value > seen[at]);
  }, first);
  await customer.sees('Your videos are ready', PATIENCE_MS);
  assert.deepEqual(await customer.states(), ['Done', 'Done', 'Done']);
  assert.equal(await ada.page.getByRole('progressbar').count(), 0, 'a bar that is full is not shown');
  for (const { width, height } of await customer.playAll()) {
    assert.ok(width >= PLAYABLE.width && height >= PLAYABLE.height, `${width} x ${height}`);
  }
  const addresses = await customer.videos.locator('video').evaluateAll((videos) => videos.map((video) => video.src));
  assert.equal(new Set(addresses).size, 3, 'three videos, not one three times');
  assert.equal(await studio.generations() - before, 3);
  await ada.page.getByText('Your prompt').click();
  await ada.page.getByText('A paper boat on a river of ink 🛶 נהר').waitFor();

  // Another day, another tab: the address still leads there.
  await ada.page.reload();
  await customer.sees('Your videos are ready');
  assert.equal(await customer.videos.locator('video').count(), 3);
  await ada.leave();
});

test('a page that is reloaded in the middle goes on where it was', async () => {
  await studio.renderIn(RENDER_MS);
  const [ada, customer] = await arrive();
  await customer.order('A kite over a harbour', 3);
  const seen = await customer.seesAllBarsMoving(3);
  await ada.page.reload();
  const after = await customer.seesAllBarsMoving(3);
  after.forEach((bar, at) => assert.ok(bar >= seen[at], `${bar} after ${seen[at]}`));
  const tab = await ada.openTab();
  await tab.goto(ada.page.url());
  await customer.sees('Your videos are ready', PATIENCE_MS);
  ada.use(tab);
  await customer.sees('Your videos are ready', PATIENCE_MS);
  await customer.playAll();
  await ada.leave();
});

test('a declined card is no end: another one pays, once', async () => {
  await studio.renderIn(500);
  const [ada, customer] = await arrive();
  await customer.write('A fox in the snow', 1);
  const id = await customer.goToPay();
  const page = new URL(ada.page.url()).pathname;
  ada.expect(`402 ${page}`);
  for (const [card, sentence] of [[CARDS.declined, /declined/i], [CARDS.poor, /insufficient funds/i]]) {
    await customer.payWith(card);
    assert.match(await ada.page.getByRole('alert').innerText(), sentence);
  }
  assert.equal((await studio.status(id)).status, 'pending');
  await customer.payWith(CARDS.good);
  await customer.isBack(id);
  await customer.sees('Your video is ready', PATIENCE_MS);
  await ada.leave();
});

test('whoever goes back from Stripe still has the prompt', async () => {
  const [ada, customer] = await arrive();
  const prompt = 'A long prompt that nobody wants to write twice. '.repeat(60);
  await customer.write(prompt, 2);
  await customer.goToPay();
  await ada.page.getByRole('link', { name: /^← Back to / }).click();
  await ada.page.waitForURL((url) => url.pathname === PROMPT_PATH);
  assert.equal(await ada.page.getByLabel('Prompt').inputValue(), prompt);
  assert.equal(await ada.page.getByLabel('Videos').inputValue(), '2');
  await ada.leave();
});

test('money that arrives later starts the work when it is here', async () => {
  await studio.renderIn(500);
  const [ada, customer] = await arrive();
  await customer.write('A lighthouse at night', 1);
  const id = await customer.goToPay();
  await ada.page.getByRole('button', { name: /^Pay by bank debit/ }).click();
  await customer.isBack(id);
  await customer.sees('Waiting for your payment');
  assert.equal(await ada.page.getByRole('progressbar').count(), 0, 'nothing moves before the money does');
  await studio.atStripe('settle_succeeds', id);
  await customer.sees('Your video is ready', PATIENCE_MS);
  await customer.playAll();
  await ada.leave();
});

const RETRIES = {
  'sessile inspect --retry': (id) => assert.match(studio.inspect(id, '--retry'), /made after all/),
  '/v1/generations/{id}/retry': async (id) => {
    const headers = { authorization: `Bearer ${studio.program.adminToken}` };
    const { status, data } = await post(studio.program, `/v1/generations/${id}/retry`, {}, headers);
    assert.equal(status, 200, JSON.stringify(data));
  },
};

for (const [how, retry] of Object.entries(RETRIES)) {
  test(`a video that fails says why, and the operator retries it with ${how}`, async () => {
    const why = 'The prompt shows a trademark';
    await studio.renderIn(2000, { kind: 'fail', message: why });
    const [ada, customer] = await arrive();
    const before = await studio.generations();
    const id = await customer.order('A famous mouse', 3);
    await customer.sees('One video could not be made', PATIENCE_MS);
    await ada.page.getByText(/is made after all, or your money goes back/).waitFor();
    assert.deepEqual((await customer.states()).toSorted(), ['Done', 'Done', 'Not made']);
    const failed = customer.videos.filter({ hasText: 'Not made' });
    assert.match(await failed.innerText(), new RegExp(why));
    assert.equal(await failed.getByRole('progressbar').count(), 0);
    assert.equal((await customer.playAll()).length, 2, 'what was made can be seen');

    assert.match(studio.inspect(id), /marked for a refund/);
    await retry(id);
    // The page is still open, and learns of it by itself.
    await customer.sees('Your videos are ready', PATIENCE_MS);
    assert.deepEqual(await customer.states(), ['Done', 'Done', 'Done']);
    assert.equal((await customer.playAll()).length, 3);
    assert.equal(await studio.generations() - before, 4, 'only the failed one was made again');
    assert.match(studio.inspect(id), /all of its videos can be seen/);
    await ada.leave();
  });
}

test('an address that means nothing waits, says so, and leads on', async () => {
  const [ada, customer] = await arrive();
  await ada.open('/en/payment-success/cs_test_nobody_knows_this');
  await customer.sees('Waiting for Stripe');
  await ada.page.getByRole('link', { name: 'Make another video' }).click();
  await ada.isOn(PROMPT_PATH);
  await ada.leave();
});

test('what cannot be sent is said on the page, and nothing is charged', async () => {
  const [ada, customer] = await arrive();
  await ada.open(PROMPT_PATH);
  await ada.page.getByLabel('Prompt').fill('   ');
  await ada.button('Continue to payment').click();
  await ada.page.getByText('Write what the video should show.').waitFor();
  // Larger than the most, in bytes and not in characters. A browser needs its time for a field of that size.
  ada.page.setDefaultTimeout(LARGE_MS);
  await ada.page.getByLabel('Prompt').evaluate((field) => { field.value = `${'é '.repeat(349_525)}éé`; });
  await ada.button('Continue to payment').click();
  await ada.page.getByText(/has 1,048,579 bytes, and 1,048,576 is the most/).waitFor();
  await ada.page.getByLabel('Prompt').evaluate((field) => { field.value = `${'é '.repeat(349_525)}x`; });
  await customer.goToPay();
  await ada.leave();
});
