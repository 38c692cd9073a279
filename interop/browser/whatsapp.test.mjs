// A person pairs a WhatsApp device with the page, sends a message and sees its receipts; the server dies in between.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { check, SCREENS } from './looks.mjs';
import { openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';
import { seen, WhatsApp } from './whatsapp.mjs';

const PEER = '+49 1700 000099';
const QR = '[data-qr]';

let browser, whatsapp;
before(async () => { [browser, whatsapp] = await Promise.all([openBrowser(), WhatsApp.start()]); });
after(async () => { await browser?.close(); whatsapp?.stop(); });

const start = (name, env = {}) => Program.start(name, { SESSILE_WHATSAPP_SERVER: whatsapp.url, CLIENT_ID: name, ...env });

test('a device is paired, sends, and survives the end of the server', async () => {
  const program = await start('whatsapp-pair');
  try {
    const ada = await Person.arrive(browser, program);
    ada.expectOutages();
    await ada.open('/whatsapp');
    await ada.page.getByRole('heading', { name: 'Scan to pair' }).waitFor();
    const first = await seen(ada.page, QR);
    await ada.shoot('whatsapp-1-scan');

    // The next code comes by itself.
    const seq = await ada.page.locator(QR).getAttribute('data-seq');
    await ada.page.waitForFunction(
      ([selector, before]) => {
        const now = document.querySelector(selector).dataset.seq;
        return now && now !== before;
      },
      [QR, seq],
      { timeout: 90_000 },
    );
    const second = await seen(ada.page, QR);
    assert.notEqual(second, first);

    await whatsapp.scan(second);
    await ada.page.getByRole('heading', { name: 'Connected' }).waitFor({ timeout: 30_000 });
    await ada.shoot('whatsapp-2-connected');

    const send = async (text) => {
      await ada.page.getByLabel('To', { exact: true }).fill(PEER);
      await ada.page.getByLabel('Message', { exact: true }).fill(text);
      await ada.button('Send').click();
      assert.equal((await whatsapp.read(text)).text, text);
      const row = ada.page.getByRole('listitem').filter({ hasText: text });
      await row.getByText(/Delivered|Read/).waitFor();
    };
    await send('Guten Tag 👋');
    await ada.shoot('whatsapp-3-sent');

    await program.restart('SIGKILL');
    await ada.page.getByRole('heading', { name: 'Connected' }).waitFor({ timeout: 30_000 });
    assert.ok(await ada.page.locator(QR).isHidden(), 'no code is asked for again');
    await send('after the restart');
    assert.deepEqual((await whatsapp.state()).ratchetReuse, []);
    await ada.leave();
  } finally {
    await program.stop();
  }
});

test('a device is paired by a typed code, and logged out', async () => {
  const program = await start('whatsapp-code');
  try {
    const ada = await Person.arrive(browser, program);
    await ada.open('/whatsapp');
    await ada.page.getByRole('heading', { name: 'Scan to pair' }).waitFor();
    await ada.page.getByLabel('Or by the phone’s own number').or(ada.page.getByLabel("Or by the phone's own number")).fill('+49 1700 000001');
    await ada.button('Get a code').click();
    const code = await ada.page.locator('[data-code]:not([hidden])').innerText({ timeout: 60_000 });
    assert.match(code, /^[0-9A-Z]{4} [0-9A-Z]{4}$/);
    await ada.shoot('whatsapp-4-code');
    await whatsapp.type(code.replace(' ', ''), '491700000001');
    await ada.page.getByRole('heading', { name: 'Connected' }).waitFor({ timeout: 60_000 });
    ada.page.on('dialog', (dialog) => dialog.accept());
    await ada.button('Log out').click();
    await ada.page.getByRole('heading', { name: /Logged out|Scan to pair|Not connected/ }).waitFor({ timeout: 30_000 });
    await ada.leave();
  } finally {
    await program.stop();
  }
});

test('the page can be read on every screen', async () => {
  const program = await start('whatsapp-looks');
  try {
    for (const [screen, options] of SCREENS) {
      for (const colorScheme of ['light', 'dark']) {
        const ada = await Person.arrive(browser, program, { ...options, colorScheme });
        await ada.open('/whatsapp');
        await ada.page.getByRole('heading', { name: 'Scan to pair' }).waitFor();
        await check(ada, `whatsapp-${screen}-${colorScheme}`);
        await ada.leave();
      }
    }
  } finally {
    await program.stop();
  }
});
