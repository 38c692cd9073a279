// What a buyer does in the wizard and on the stand-in's pay page, and what an operator does beside it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { ADA } from './person.mjs';

/** Older than any checkout lives, and younger than one that cannot be recovered. */
export const DAY_AND_MORE_S = 25 * 60 * 60;

const TRACKS = [['Morning', 'Ada'], ['Evening', 'Grace']];

/** One buyer at the wizard. */
export class Buyer {
  constructor(person) {
    this.person = person;
  }

  get page() {
    return this.person.page;
  }

  /** Waits for a page of the wizard, and answers the checkout that it is about. */
  async isAt(path) {
    await this.page.waitForURL((url) => url.origin === this.person.program.url && url.pathname === path);
    return new URL(this.page.url()).searchParams.get('sessionId');
  }

  /** The step that is marked for screen readers. */
  step() {
    return this.page.locator('[aria-current=step]').innerText();
  }

  async addTracks(tracks = TRACKS) {
    await this.person.open('/add');
    for (const [index, [title, artist]] of tracks.entries()) {
      if (index > 0) await this.person.button('Add another track').click();
      const row = this.page.getByRole('group', { name: `Track ${index + 1}` });
      await row.getByLabel('Title').fill(title);
      await row.getByLabel('Artist').fill(artist);
    }
    await this.person.button('Continue to packages').click();
    await this.isAt('/packages');
  }

  /** Chooses by name, one for each track, and waits until the server's total is there. */
  async choose(...names) {
    for (const [index, name] of names.entries()) {
      await this.page.getByRole('group').nth(index).getByRole('radio', { name: new RegExp(`^${name}`) }).check();
    }
    return this.total();
  }

  async total() {
    const total = this.page.locator('dd[data-total]:not([aria-busy=true])');
    await total.filter({ hasText: /\d/ }).waitFor();
    return total.innerText();
  }

  async continueToCheckout() {
    await this.person.button('Continue to checkout').click();
    return this.isAt('/checkout');
  }

  /** Through the first two steps to a checkout, whose id is answered. */
  async reachCheckout(...names) {
    await this.addTracks();
    await this.choose(...(names.length > 0 ? names : ['Basic', 'Basic']));
    return this.continueToCheckout();
  }

  async backToPackages() {
    await this.page.getByRole('link', { name: 'Back to packages' }).click();
    return this.isAt('/packages');
  }

  /** As a guest: through the stand-in's consent page, and back to where it was asked for. */
  async signInToPay() {
    await this.page.getByRole('link', { name: 'Sign in to pay' }).click();
    await this.page.getByRole('button', { name: ADA.name }).click();
    const id = await this.isAt('/checkout');
    await this.person.rememberCookie();
    return id;
  }

  get payButton() {
    return this.page.getByRole('button', { name: /^Pay |^Complete the order$/ });
  }

  /** Presses the button, and waits for the provider's page. */
  async goToPay() {
    await this.payButton.click();
    await this.page.waitForURL((url) => url.pathname.endsWith('/services/pay'));
  }

  /** A button of the stand-in's pay page. */
  async atClick(name) {
    await this.page.getByRole('button', { name, exact: true }).click();
  }

  /** The payment's page with this heading; answers the order's id. */
  async seesPayment(heading) {
    await this.page.waitForURL((url) => url.pathname.startsWith('/payment/'));
    await this.page.getByRole('heading', { level: 1, name: heading }).waitFor();
    return new URL(this.page.url()).pathname.split('/').at(-1);
  }

  /** What the dashboard says was bought. */
  async bought() {
    await this.person.open('/dashboard');
    return this.page.getByRole('region', { name: 'What you bought' }).getByRole('listitem').allInnerTexts();
  }

  async useCoupon(code, says) {
    await this.page.getByLabel('Coupon').fill(code);
    await this.person.button('Apply').click();
    await this.page.locator('[data-coupon-says]').filter({ hasText: says }).waitFor();
  }
}

/** One call with a body, as a script beside the browser would make it. */
export async function post(program, path, body, headers = {}) {
  const answer = await fetch(`${program.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  return { status: answer.status, data: await answer.json() };
}

/** The operator makes a coupon. */
export async function makeCoupon(program, coupon) {
  const headers = { authorization: `Bearer ${program.adminToken}`, 'idempotency-key': randomUUID() };
  const { status, data } = await post(program, '/v1/admin/coupons', coupon, headers);
  assert.ok(status === 200 || status === 201, `${status} ${JSON.stringify(data)}`);
  return data;
}
