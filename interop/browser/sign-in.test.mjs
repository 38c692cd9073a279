// Signing in as somebody does it: landing page, consent page, dashboard; and not going through with it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADA, openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';

let browser, program;
before(async () => { [browser, program] = await Promise.all([openBrowser(), Program.start('sign-in')]); });
after(async () => { await browser?.close(); await program?.stop(); });

test('from the landing page to the dashboard', async () => {
  const ada = await Person.arrive(browser, program);
  await ada.signIn();
  await ada.page.getByRole('heading', { level: 1, name: ADA.email }).waitFor();
  assert.equal(await ada.devices.count(), 1);
  assert.match(await ada.devices.first().innerText(), /This device/);
  assert.equal(await ada.button('Sign out everywhere else').count(), 0, 'there is no other device');
  await ada.open('/');
  await ada.page.getByRole('link', { name: 'Go to your dashboard' }).click();
  await ada.isOn('/dashboard');
  await ada.leave();
});

test('the same without any script', async () => {
  const ada = await Person.arrive(browser, program, { javaScriptEnabled: false });
  await ada.signIn();
  await ada.button('Sign out').first().click();
  await ada.isOn('/');
  await ada.leave();
});

test('another person is another person', async () => {
  const grace = await Person.arrive(browser, program);
  await grace.signIn(/Grace Hopper/);
  await grace.page.getByRole('heading', { level: 1, name: 'grace@sandbox.example' }).waitFor();
  assert.equal(await grace.devices.count(), 1, "Ada's devices are hers");
  await grace.leave();
});

test('the cookie changes at sign-in, and scripts cannot read it', async () => {
  const ada = await Person.arrive(browser, program);
  await ada.open('/auth/whop');
  await ada.isAskedToSignIn();
  const before = await ada.cookie();
  await ada.page.getByRole('button', { name: ADA.name }).click();
  await ada.isOn('/dashboard');
  const after = await ada.cookie();
  await ada.rememberCookie();
  assert.notEqual(before.value, after.value);
  assert.equal(after.httpOnly, true);
  assert.equal(after.sameSite, 'Lax');
  assert.equal(await ada.page.evaluate(() => document.cookie), '');
  await ada.leave();
});

test('denying consent leads back to a page with a way on', async () => {
  const ada = await Person.arrive(browser, program);
  ada.expect('400 /auth/whop/callback');
  await ada.open('/');
  await ada.page.getByRole('link', { name: 'Sign in', exact: true }).click();
  await ada.button('Deny').click();
  await ada.page.waitForURL((url) => url.origin === program.url);
  await ada.shoot('denied-desktop-light');
  await ada.page.getByRole('heading', { level: 1 }).waitFor({ timeout: 2000 });
  await ada.page.getByRole('main').getByRole('link', { name: /back|again|start/i }).first().click();
  await ada.page.waitForURL((url) => url.origin !== program.url || url.pathname === '/');
  await ada.leave();
});
