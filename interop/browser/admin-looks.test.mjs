// Every page of the dashboard, light and dark, on a desk and on a phone: nothing sticks out, text can be read, an
// accessibility checker finds nothing serious, and a picture is taken. The same checker looks at all other pages.

import { after, before, test } from 'node:test';
import { bought, isAccessible, Operator, Shop } from './admin.mjs';
import { check, SCREENS } from './looks.mjs';
import { openBrowser, Person } from './person.mjs';
import { Buyer, makeCoupon } from './shop.mjs';

const PROMPT_PATH = '/en/tool/veo3-prompt-generator';
const USER = '3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d';

let browser, shop, program, order, job, user;
before(async () => {
  [browser, shop] = await Promise.all([openBrowser(), Shop.open('admin-looks')]);
  ({ program } = shop);
  order = await bought(browser, program);
  for (let n = 0; n < 4; n += 1) await shop.payment(`${USER.slice(0, -1)}${n}`);
  await makeCoupon(program, { code: 'SPRING', discountType: 'percentage', discountValue: 20, maxUses: 100 });
  await makeCoupon(program, {
    code: 'WELCOME', description: 'For everybody who signs in first', discountType: 'fixed', discountValue: 10_000,
  });
  const ada = await Person.arrive(browser, program);
  await ada.appear();
  user = (await (await ada.page.request.get(`${program.url}/api/me`)).json()).id;
  await new Buyer(ada).reachCheckout('Plus', 'Studio');
  job = await orders(ada);
  await ada.leave();
});
after(async () => { await browser?.close(); await shop?.close(); });

/** From the prompt through the stand-in's page to the videos; answers the job's id. */
async function orders(person) {
  const { page } = person;
  await person.open(PROMPT_PATH);
  await page.getByLabel('Prompt').fill('A lighthouse in a storm, seen from the sea.');
  await person.button('Continue to payment').click();
  await page.waitForURL((url) => url.pathname.includes('/c/pay/'));
  await page.getByLabel('Card number').fill('4242 4242 4242 4242');
  await page.getByLabel('Expires').fill('12 / 34');
  await page.getByLabel('CVC').fill('123');
  await page.getByRole('button', { name: /^Pay \d/ }).click();
  await page.waitForURL((url) => url.pathname.includes('/payment-success/'));
  return new URL(page.url()).pathname.split('/').at(-1);
}

for (const [screen, options] of SCREENS) {
  for (const colorScheme of ['light', 'dark']) {
    test(`the dashboard, ${screen}, ${colorScheme}`, async () => {
      const as = `${screen}-${colorScheme}`;
      const stranger = await Person.arrive(browser, program, { ...options, colorScheme });
      await stranger.open('/admin');
      await look(stranger, `admin-sign-in-${as}`);
      await stranger.leave();
      const operator = await Operator.arrive(browser, program, { ...options, colorScheme });
      const { person, page } = operator;
      await person.button('Pause').click();
      for (const [name, path] of [
        ['overview', '/admin'], ['overview-day', '/admin?range=day'], ['payments', '/admin/payment'],
        ['checkouts', '/admin/checkout'], ['jobs', '/admin/generation'], ['whatsapp', '/admin/whatsapp'], ['logins', '/admin/login'],
        ['nothing-failed', '/admin/payment?status=failed'], ['attention', '/admin/attention'], ['outbox', '/admin/outbox'],
        ['coupons', '/admin/coupons'], ['audit', '/admin/audit'], ['job', `/admin/generation/${job}`],
        ['search-nothing', '/admin/search?q=nothing'], ['search-user', `/admin/search?q=${user}`],
      ]) {
        await operator.open(path);
        await look(person, `admin-${name}-${as}`);
      }
      await operator.search(order);
      await operator.rows('Payments').getByRole('link').first().click();
      await operator.part('Timeline').waitFor();
      await look(person, `admin-payment-${as}`);
      await page.getByRole('link', { name: 'Refund this payment' }).click();
      await look(person, `admin-asked-back-${as}`);
      await operator.search(user);
      await operator.rows('Logins').getByRole('link').first().click();
      await operator.part('Timeline').waitFor();
      await look(person, `admin-login-${as}`);
      await operator.leave();
    });
  }
}

async function look(person, name) {
  await check(person, name);
  await isAccessible(person.page, name);
}

test('the pages that everybody sees', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const ada = await Person.arrive(browser, program, { colorScheme });
    const buyer = new Buyer(ada);
    const sees = (name) => isAccessible(ada.page, `${name}, ${colorScheme}`);
    await ada.open('/');
    await sees('landing');
    await ada.appear();
    await sees('dashboard');
    await ada.open('/add');
    await sees('tracks');
    await buyer.addTracks();
    await sees('packages');
    await buyer.choose('Basic', 'Basic');
    await buyer.continueToCheckout();
    await sees('checkout');
    await buyer.goToPay();
    await buyer.atClick('Pay');
    await buyer.seesPayment('Paid. Thank you!');
    await sees('payment');
    await ada.open(PROMPT_PATH);
    await sees('prompt');
    await ada.open(`/en/payment-success/${job}`);
    await sees('videos');
    ada.expect('404 /nowhere');
    await ada.open('/nowhere');
    await sees('not found');
    await ada.leave();
  }
});
