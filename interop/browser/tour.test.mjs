// The tour at `/`: what is stored appears as it changes, and whatever is broken by its buttons, nothing gets lost.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isAccessible } from './admin.mjs';
import { check, SCREENS } from './looks.mjs';
import { openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';
import { Buyer } from './shop.mjs';

/** The database is away for ten seconds, the workers for eight, and a video takes a few more. */
const AWAY_MS = 30_000;
const PROMPT_PATH = '/en/tool/veo3-prompt-generator';

let browser, program;
before(async () => { [browser, program] = await Promise.all([openBrowser(), Program.start('tour')]); });
after(async () => { await browser?.close(); await program?.stop(); });

/** Somebody at the tour, in a tab that stays there. */
class Guest {
  static async arrive(options = {}) {
    const guest = new Guest();
    guest.person = await Person.arrive(browser, program, options);
    await guest.person.open('/');
    guest.page = guest.person.page;
    await guest.page.getByRole('heading', { level: 1, name: 'Break it. Nothing gets lost.' }).waitFor();
    return guest;
  }

  /** The row of a kind in a state, once it is there. */
  async row(kind, state, timeout) {
    const row = this.page.locator(`[data-key^="${kind} "]`).filter({ hasText: state }).first();
    await row.waitFor({ timeout });
    return row;
  }

  says(part, text, timeout) {
    return this.page.locator(`[data-live="${part}"]`).filter({ hasText: text }).waitFor({ timeout });
  }

  press(name) {
    return this.page.getByRole('button', { name }).click();
  }

  /** Another tab of the same browser does this; the tour stays open. */
  async meanwhile(work) {
    const tab = await this.person.openTab();
    this.person.use(tab);
    try {
      return await work(this.person);
    } finally {
      this.person.use(this.page);
      await tab.close();
    }
  }
}

/** What never changes by itself in the row of a session. */
const stamp = (row) => row.evaluate((element) => [element.dataset.key, element.dataset.at, element.querySelector('.state').innerText]);

async function pays(person) {
  const buyer = new Buyer(person);
  await buyer.goToPay();
  await buyer.atClick('Pay');
  await buyer.seesPayment('Paid');
}

test('rows appear as they are stored, and ten messages more are none', async () => {
  const ada = await Guest.arrive();
  await ada.says('rows', 'Nothing yet');
  await ada.meanwhile((person) => person.signIn());
  await ada.row('login', 'live');
  await ada.meanwhile(async (person) => {
    await new Buyer(person).reachCheckout();
    await ada.row('checkout', 'active');
    await ada.press('Make CLICK lose our next reply');
    await ada.says('diary', 'CLICK will not hear our next answer');
    await pays(person);
  });
  const paid = await ada.row('payment', 'completed');
  await ada.row('checkout', 'completed');
  const before = await stamp(paid);
  await ada.press('Send the last webhook ten times');
  await ada.says('diary', '10 × already paid');
  assert.deepEqual(await stamp(await ada.row('payment', 'completed')), before, 'nothing came of ten more');
  assert.equal(await ada.page.locator('[data-key^="payment "]').count(), 1);
  await ada.press('Restart the workers');
  await ada.says('diary', 'were started again');
  await ada.person.leave();
});

test('workers and the database go away, and what was begun is finished', async () => {
  const grace = await Guest.arrive();
  await grace.press('Kill the workers');
  await grace.says('state', 'Workers away');
  await grace.meanwhile(async (person) => {
    await person.open(PROMPT_PATH);
    await person.page.getByLabel('Prompt').fill('A lighthouse in a storm, seen from the sea.');
    await person.button('Continue to payment').click();
    await person.page.waitForURL((url) => url.pathname.includes('/c/pay/'));
    await person.page.getByLabel('Card number').fill('4242 4242 4242 4242');
    await person.page.getByLabel('Expires').fill('12 / 34');
    await person.page.getByLabel('CVC').fill('123');
    await person.page.getByRole('button', { name: /^Pay \d/ }).click();
    await person.page.waitForURL((url) => url.pathname.includes('/payment-success/'));
  });
  await grace.row('generation', 'pending');
  await grace.press(/^Cut the database/);
  await grace.says('state', 'Database cut off');
  // Who signs in meanwhile is kept in the spool, and stays signed in.
  await grace.meanwhile((person) => person.signIn(/Grace Hopper/));
  await grace.says('state', 'waiting in the spool');
  await grace.says('state', 'Database answers', AWAY_MS);
  await grace.says('state', 'Workers at work', AWAY_MS);
  await grace.row('login', 'live');
  await grace.row('generation', 'completed', AWAY_MS);
  await grace.page.getByText('waiting in the spool').waitFor({ state: 'detached', timeout: AWAY_MS });
  await grace.person.leave();
});

test('without a script the buttons work all the same', async () => {
  const ada = await Guest.arrive({ javaScriptEnabled: false });
  await ada.press('Restart the workers');
  await ada.page.waitForURL(`${program.url}/#break`);
  await ada.says('diary', 'The workers');
  await ada.person.leave();
});

for (const [screen, options] of SCREENS) {
  for (const colorScheme of ['light', 'dark']) {
    test(`the tour, ${screen}, ${colorScheme}`, async () => {
      const ada = await Guest.arrive({ ...options, colorScheme });
      await isAccessible(ada.page, `tour-stranger-${screen}-${colorScheme}`);
      await check(ada.person, `tour-stranger-${screen}-${colorScheme}`);
      await ada.person.appear();
      await ada.person.open('/');
      await ada.row('login', 'live');
      await isAccessible(ada.page, `tour-${screen}-${colorScheme}`);
      await check(ada.person, `tour-${screen}-${colorScheme}`);
      await ada.person.leave();
    });
  }
}
