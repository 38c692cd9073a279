// A studio that sells videos, and somebody who buys them.
//
// The stand-ins for Stripe and SuperDuperAI are a process of their own here, as the real ones are: they outlive a server
// that is killed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { built, Program } from './program.mjs';

const START_MS = 20_000;
const CALL_MS = 10_000;
const POLL_MS = 100;
const PLAY_MS = 15_000;
const PRESS_AGAIN_MS = 1000;
export const PROMPT_PATH = '/en/tool/veo3-prompt-generator';

/** Cards of the stand-in, as they are typed. */
export const CARDS = { good: '4242 4242 4242 4242', declined: '4000 0000 0000 0002', poor: '4000 0000 0000 9995' };

/** A running `sessile dev` with stand-ins of its own. */
export class Studio {
  #standIns;
  /** How an application reaches the stand-ins: names and values of variables. */
  settings = {};

  /** `name` names the log. */
  static async start(name) {
    const studio = new Studio();
    try {
      await studio.#open(name);
    } catch (error) {
      await studio.stop();
      throw error;
    }
    return studio;
  }

  async #open(name) {
    const binary = built('examples/generation', ['-p', 'sessile-sandbox', '--example', 'generation']);
    this.#standIns = spawn(binary, [], { stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    this.#standIns.stdout.setEncoding('utf8').on('data', (text) => { printed += text; });
    const began = Date.now();
    while (!printed.includes('what is going on')) {
      assert.equal(this.#standIns.exitCode, null, 'the stand-ins ended');
      assert.ok(Date.now() - began < START_MS, `the stand-ins did not start within ${START_MS} ms`);
      await wait(POLL_MS);
    }
    this.settings = Object.fromEntries([...printed.matchAll(/([A-Z_]+)=(\S+)/g)].map(([, key, value]) => [key, value]));
    this.standIns = new URL(this.settings.STRIPE_API_URL).origin;
    const env = { ...this.settings, SESSILE_GENERATION_SETTLED_SECONDS: '1' };
    this.program = await Program.start(name, env);
    await this.sendWebhooksTo(`${this.program.url}/api/webhooks/stripe`);
  }

  /** Where Stripe's messages go from now on. */
  sendWebhooksTo(url) {
    const webhook = { url, secret: this.settings.STRIPE_WEBHOOK_SECRET };
    return this.#tell('stripe/webhook', JSON.stringify(webhook), 'application/json');
  }

  async #tell(path, body, type) {
    const answer = await fetch(`${this.standIns}/sandbox/${path}`, {
      method: 'POST', headers: { 'content-type': type }, body, signal: AbortSignal.timeout(CALL_MS),
    });
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.text()}`);
  }

  /** What the generator does wrong from now on, instead of what it did. */
  misbehave(...switches) {
    return this.#tell('superduperai/misbehave', JSON.stringify(switches), 'application/json');
  }

  /** What Stripe does wrong from now on. */
  stripeMisbehaves(...switches) {
    return this.#tell('stripe/misbehave', JSON.stringify(switches), 'application/json');
  }

  /** Every video takes so long. */
  renderIn(ms, ...more) {
    return this.misbehave({ kind: 'slow_render', standing: true, delay_ms: ms }, ...more);
  }

  /** What Stripe does by hand, such as letting delayed money arrive. */
  atStripe(act, id) {
    return this.#tell('stripe/act', new URLSearchParams({ act, id }), 'application/x-www-form-urlencoded');
  }

  async #asked(path) {
    const answer = await fetch(`${this.standIns}/sandbox/${path}`, { signal: AbortSignal.timeout(CALL_MS) });
    return answer.json();
  }

  /** How many generations were accepted so far. */
  async generations() {
    return (await this.#asked('superduperai')).counts.generations ?? 0;
  }

  /** How the job is said to be. */
  async status(id) {
    const answer = await fetch(`${this.program.url}/api/webhook-status/${id}`, { signal: AbortSignal.timeout(CALL_MS) });
    return answer.json();
  }

  /** `sessile inspect`, as an operator runs it beside the server. */
  inspect(...options) {
    return this.program.run('inspect', ...options);
  }

  async stop() {
    await this.program?.stop();
    const child = this.#standIns;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

/** One person who wants videos. */
export class Customer {
  constructor(person) {
    this.person = person;
  }

  get page() {
    return this.person.page;
  }

  async write(prompt, videos = 3) {
    await this.person.open(PROMPT_PATH);
    await this.page.getByLabel('Prompt').fill(prompt);
    await this.page.getByLabel('Videos').selectOption(String(videos));
  }

  /** Goes to Stripe's page; answers the session's id. */
  async goToPay() {
    await this.person.button('Continue to payment').click();
    await this.page.waitForURL((url) => url.pathname.includes('/c/pay/'));
    return new URL(this.page.url()).pathname.split('/').at(-1);
  }

  async payWith(card) {
    await this.page.getByLabel('Card number').fill(card);
    await this.page.getByLabel('Expires').fill('12 / 34');
    await this.page.getByLabel('CVC').fill('123');
    await this.page.getByRole('button', { name: /^Pay \d/ }).click();
  }

  /** From the prompt to the page with the bars; answers the session's id. */
  async order(prompt, videos = 3) {
    await this.write(prompt, videos);
    const id = await this.goToPay();
    await this.payWith(CARDS.good);
    await this.isBack(id);
    return id;
  }

  isBack(id) {
    return this.page.waitForURL(`${this.person.program.url}/en/payment-success/${id}`);
  }

  sees(heading, timeout) {
    return this.page.getByRole('heading', { level: 1, name: heading }).waitFor({ timeout });
  }

  /** The rows of the videos. */
  get videos() {
    return this.page.locator('[data-video]');
  }

  /** What is said of each video. */
  states() {
    return this.videos.locator('[data-state]').allInnerTexts();
  }

  /** How far the bars are. */
  bars() {
    return this.page.getByRole('progressbar').evaluateAll((bars) => bars.map((bar) => bar.value));
  }

  /** Waits until every bar stands between its ends at the same time. */
  async seesAllBarsMoving(count) {
    await this.page.waitForFunction((wanted) => {
      const bars = [...document.querySelectorAll('progress')];
      return bars.length === wanted && bars.every((bar) => bar.checkVisibility() && bar.value > 0 && bar.value < 100);
    }, count);
    return this.bars();
  }

  /** Plays every video that is shown, with the keyboard, and waits until each has really moved on. */
  async playAll() {
    const shown = [];
    for (const video of await this.videos.locator('video[src]').all()) {
      await video.scrollIntoViewIfNeeded();
      const moved = video.evaluate((element, patience) => new Promise((resolve, reject) => {
        const began = element.currentTime;
        const late = setTimeout(() => reject(new Error(`it stands at ${element.currentTime} of ${element.duration}`)), patience);
        element.addEventListener('error', () => reject(new Error(`it cannot be played: ${element.error?.message}`)));
        element.addEventListener('timeupdate', () => {
          if (element.currentTime - began < 0.2) return;
          clearTimeout(late);
          element.pause();
          resolve({ width: element.videoWidth, height: element.videoHeight });
        });
      }), PLAY_MS);
      let over = false;
      moved.catch(() => {}).finally(() => { over = true; });
      while (!over) {
        // A busy browser may not have been ready for the key.
        if (await video.evaluate((element) => element.paused)) {
          await video.focus();
          await this.page.keyboard.press('Space');
        }
        await wait(PRESS_AGAIN_MS);
      }
      shown.push(await moved);
    }
    return shown;
  }
}
