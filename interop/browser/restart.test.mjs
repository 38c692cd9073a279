// The server ends between two clicks, gently or not, and nobody is signed out by that.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADA, openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';

let browser, program;
before(async () => { [browser, program] = await Promise.all([openBrowser(), Program.start('restart')]); });
after(async () => { await browser?.close(); await program?.stop(); });

for (const [signal, end] of [['SIGTERM', 0], ['SIGKILL', 'SIGKILL']]) {
  test(`still signed in after ${signal}`, async () => {
    const ada = await Person.arrive(browser, program);
    await ada.signIn();
    await ada.open('/');
    assert.equal(await program.restart(signal), end);
    await ada.page.getByRole('link', { name: 'Go to your dashboard' }).click();
    await ada.isOn('/dashboard');
    await ada.page.getByRole('heading', { level: 1, name: ADA.email }).waitFor();
    assert.match(await ada.devices.filter({ hasText: 'This device' }).innerText(), /Chrome on Linux/);
    await ada.button('Sign out').first().click();
    await ada.isOn('/');
    await ada.leave();
  });

  test(`a logout is not undone by ${signal}`, async () => {
    const ada = await Person.arrive(browser, program);
    await ada.signIn();
    const cookie = await ada.cookie();
    await ada.button('Sign out').first().click();
    await ada.isOn('/');
    await program.restart(signal);
    await ada.context.addCookies([cookie]);
    await ada.open('/dashboard');
    await ada.isAskedToSignIn();
    await ada.leave();
  });
}
