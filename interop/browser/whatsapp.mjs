// The stand-in WhatsApp as a process, and a phone that reads what is on the screen.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import jsqr from 'jsqr';
import { built } from './program.mjs';

const POLL_MS = 50;
const PATIENCE_MS = 20_000;

/** The stand-in, for as long as a test needs it. */
export class WhatsApp {
  #child;
  #control;

  static async start() {
    const whatsapp = new WhatsApp();
    const program = built('examples/whatsapp', ['-p', 'sessile-sandbox-whatsapp', '--example', 'whatsapp']);
    // It ends with its standard input, so that a test that dies takes it along.
    whatsapp.#child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = await once(whatsapp.#child.stdout.setEncoding('utf8'), 'data');
    const { url, control } = JSON.parse(line);
    whatsapp.url = url;
    whatsapp.#control = control;
    return whatsapp;
  }

  async #post(path, body) {
    const answer = await fetch(`${this.#control}/${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    return told;
  }

  /** The phone takes this code. */
  scan(qr) {
    return this.#post('scan', { qr });
  }

  /** Somebody types this code into the phone of a number. */
  type(code, number) {
    return this.#post('code', { code, number });
  }

  misbehave(...switches) {
    return this.#post('misbehave', switches);
  }

  async state() {
    return (await fetch(this.#control)).json();
  }

  /** Waits for a message that somebody has read. */
  async read(text) {
    const began = Date.now();
    for (;;) {
      const message = (await this.state()).messages.find((each) => each.text === text);
      if (message) return message;
      if (Date.now() - began > PATIENCE_MS) throw new Error(`nobody read “${text}”`);
      await wait(POLL_MS);
    }
  }

  stop() {
    this.#child.kill('SIGKILL');
  }
}

/** What a camera sees in the picture of a code on this page. */
export async function seen(page, selector) {
  const { data, width, height } = await page.locator(selector).evaluate(async (image) => {
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const { width, height } = canvas;
    return { data: [...context.getImageData(0, 0, width, height).data], width, height };
  });
  const code = jsqr(Uint8ClampedArray.from(data), width, height);
  if (!code) throw new Error('there is no code that a camera could read');
  return code.data;
}
