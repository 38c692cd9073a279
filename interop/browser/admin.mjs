// What an operator does on the dashboard, and the shop that they look after: buyers, an application that wants to hear
// nothing more, and an accessibility checker.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { Person } from './person.mjs';
import { Program } from './program.mjs';
import { Buyer, post } from './shop.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const API_KEY = 'an-api-key-for-the-browsers-tests-of-44-bytes';
/** What an accessibility checker calls a finding that keeps somebody out. */
const BAD = ['serious', 'critical'];

/** A shop whose application answers every webhook with 410, until it is told to listen. */
export class Shop {
  #receiver;
  listens = false;
  heard = [];

  static async open(name, env = {}) {
    const shop = new Shop();
    shop.#receiver = createServer((request, response) => {
      if (shop.listens) shop.heard.push(request.headers['webhook-id']);
      response.writeHead(shop.listens ? 204 : 410).end();
    }).listen(0, '127.0.0.1');
    await once(shop.#receiver, 'listening');
    shop.program = await Program.start(name, {
      SESSILE_WEBHOOK_URL: `http://127.0.0.1:${shop.#receiver.address().port}/hooks`,
      SESSILE_WEBHOOK_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      SESSILE_API_KEYS: `shop:${API_KEY}`,
      SESSILE_EVENTS: 'true',
      ...env,
    });
    return shop;
  }

  /** A payment that a backend makes for some user; what the route answered. */
  async payment(user, amount = 50_000) {
    const body = { amount, userId: user, userEmail: 'ada@example.com' };
    const headers = { authorization: `Bearer ${API_KEY}` };
    const { status, data } = await post(this.program, '/api/click/create-transaction', body, headers);
    assert.equal(status, 200, JSON.stringify(data));
    return data;
  }

  async close() {
    await this.program?.stop();
    this.#receiver.closeAllConnections();
    this.#receiver.close();
  }
}

/** Somebody at the dashboard. */
export class Operator {
  constructor(person) {
    this.person = person;
  }

  static async arrive(browser, program, options = {}) {
    const operator = new Operator(await Person.arrive(browser, program, options));
    await operator.signIn();
    return operator;
  }

  get page() {
    return this.person.page;
  }

  open(path) {
    return this.person.open(path);
  }

  async tryToken(token) {
    await this.page.getByLabel('Operator\'s token').fill(token);
    await this.person.button('Sign in').click();
  }

  async signIn() {
    await this.open('/admin');
    await this.tryToken(this.person.program.adminToken);
    await this.page.getByRole('navigation', { name: 'Dashboard' }).waitFor();
  }

  async search(needle) {
    await this.page.getByLabel('Search all sessions').fill(needle);
    await this.person.button('Search').click();
    await this.page.getByRole('heading', { name: `Found for ${needle}` }).waitFor();
  }

  /** A part of a page, by its heading. */
  part(name) {
    return this.page.getByRole('region', { name, exact: true });
  }

  /** The rows of a table. */
  rows(name) {
    return this.page.getByRole('table', { name }).getByRole('row').filter({ hasNot: this.page.getByRole('columnheader') });
  }

  /** What the timeline says, the newest first. */
  timeline() {
    return this.part('Timeline').getByRole('listitem').locator('strong').allInnerTexts();
  }

  /** Presses the link of a deed, then the button that it asks back with. */
  async does(deed) {
    await this.page.getByRole('link', { name: deed, exact: true }).click();
    await this.page.getByRole('heading', { name: `${deed}?` }).waitFor();
    await this.person.button(deed).click();
    await this.page.getByRole('status').filter({ hasText: /\w/ }).first().waitFor();
  }

  leave() {
    return this.person.leave();
  }
}

/** A buyer who has paid for an order; answers the order and the payment's address on the dashboard. */
export async function bought(browser, program) {
  const ada = await Person.arrive(browser, program);
  await ada.appear();
  const buyer = new Buyer(ada);
  await buyer.reachCheckout('Plus', 'Basic');
  await buyer.goToPay();
  await buyer.atClick('Pay');
  const order = await buyer.seesPayment('Paid. Thank you!');
  await ada.leave();
  return order;
}

/** Fails when an accessibility checker finds something that keeps people out. */
export async function isAccessible(page, name) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const bad = violations.filter(({ impact }) => BAD.includes(impact));
  const told = bad.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map(({ html }) => html).join(' | ')}`);
  assert.deepEqual(told, [], name);
}
