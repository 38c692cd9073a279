// A person at a browser: one browser context, driven by what can be seen on the page.
//
// Everything that a page should not do (errors in the console, refused or failed requests, answers of 400 and above)
// is collected and has to be empty at the end, unless a test said beforehand which answer it expects.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { output, remember } from './program.mjs';

const PATIENCE_MS = 30_000;
const DESKTOP = { width: 1200, height: 800 };
export const PHONE = { width: 390, height: 844 };

/** User agents of devices that somebody may have. */
export const AGENTS = {
  mac: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15',
  linux: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  iphone:
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
  long: `${'An-Agent-That-Never-Ends'.repeat(9)}/1.0`,
};

/** The stand-in's first person, as `/auth/dev` can sign her in without clicks. */
export const ADA = { name: 'Ada Lovelace', email: 'ada@sandbox.example', id: 'user_AdaLovelace1815' };

const FLAGS = [
  '--no-sandbox',
  '--headless',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A browser; `options` go to playwright's launch. */
export function openBrowser(options = {}) {
  const candidates = ['chromium', 'chromium-browser', 'google-chrome'].map((name) => `/usr/bin/${name}`);
  const executablePath = process.env.CHROMIUM_PATH ?? candidates.find(existsSync);
  assert.ok(executablePath, 'no Chromium: install it (./test --prepare), or set CHROMIUM_PATH');
  return chromium.launch({ executablePath, args: FLAGS, ...options });
}

/** Somebody with a browser window. */
export class Person {
  #complaints = [];
  #expected = new Set();
  #outage = false;

  static async arrive(browser, program, options = {}) {
    const person = new Person();
    person.program = program;
    person.context = await browser.newContext({ viewport: DESKTOP, ...options });
    person.context.setDefaultTimeout(PATIENCE_MS);
    person.page = await person.context.newPage();
    person.#watch(person.page);
    return person;
  }

  #watch(page) {
    const complain = (text) => this.#complaints.push(text);
    page.on('pageerror', (error) => complain(`script: ${error}`));
    page.on('requestfailed', (request) => {
      // A page that waits, or listens for news, is left while it does; and a browser reads no more of a video than it plays.
      const waits = /\/api\/(click|webhook-status|whatsapp)\//.test(request.url()) || request.resourceType() === 'media'
        || request.headers()['x-sessile-news'];
      const left = waits && request.failure()?.errorText === 'net::ERR_ABORTED';
      if (!left && !this.#outage) complain(`request: ${request.url()}: ${request.failure()?.errorText}`);
    });
    page.on('response', (response) => {
      const path = new URL(response.url()).pathname;
      if (response.status() >= 400 && !this.#expected.has(`${response.status()} ${path}`)) {
        complain(`answer: ${response.status()} ${response.url()}`);
      }
    });
    page.on('console', (message) => {
      // Answers are judged above, by their status.
      const told = message.text().startsWith('Failed to load resource: the server responded')
        || (this.#outage && message.text().startsWith('Failed to load resource: net::'));
      if (['error', 'warning'].includes(message.type()) && !told) complain(`console: ${message.text()}`);
    });
  }

  /** An answer such as `404 /nowhere` is what this person is after. */
  expect(answer) {
    this.#expected.add(answer);
  }

  /** From now on the server may be away for moments. */
  expectOutages() {
    this.#outage = true;
  }

  /** Another tab of the same browser; `use` makes a tab the one at hand. */
  async openTab() {
    const tab = await this.context.newPage();
    this.#watch(tab);
    return tab;
  }

  use(page) {
    this.page = page;
  }

  open(path) {
    return this.page.goto(`${this.program.url}${path}`);
  }

  /** From the landing page through the stand-in's consent page to the dashboard. */
  async signIn(name = ADA.name) {
    await this.open('/');
    await this.page.getByRole('link', { name: 'Sign in', exact: true }).click();
    await this.page.getByRole('button', { name }).click();
    await this.isOn('/dashboard');
    await this.rememberCookie();
  }

  /** The same person without the clicks. */
  async appear() {
    await this.open(`/auth/dev?email=${encodeURIComponent(ADA.email)}&whop=${ADA.id}`);
    await this.isOn('/dashboard');
    await this.rememberCookie();
  }

  async rememberCookie() {
    const cookie = await this.cookie();
    const id = decodeURIComponent(cookie.value).slice(2).split('.')[0];
    remember(cookie.value, id);
  }

  async cookie() {
    const cookies = await this.context.cookies(this.program.url);
    return cookies.find((cookie) => cookie.name === 'sid');
  }

  isOn(path) {
    return this.page.waitForURL(`${this.program.url}${path}`);
  }

  /** The provider's page, where somebody who is not signed in ends up. */
  async isAskedToSignIn() {
    await this.page.waitForURL((url) => url.pathname === '/oauth/authorize');
    await this.page.getByRole('heading', { name: /^Sign in to / }).waitFor();
  }

  /** The rows of the device list. */
  get devices() {
    return this.page.getByRole('region', { name: 'Where you are signed in' }).getByRole('listitem');
  }

  button(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  async shoot(name) {
    const folder = join(output, 'screenshots');
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`), fullPage: true, animations: 'disabled' });
  }

  /** Closes the window, and fails if anything on the way was not as it should be. */
  async leave() {
    await this.context.close();
    assert.deepEqual(this.#complaints, []);
  }
}
