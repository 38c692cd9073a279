// Two devices of one person: seen from each other, ended from each other.

import assert from 'node:assert/strict';
import { after, before, beforeEach, afterEach, test } from 'node:test';
import { ADA, AGENTS, openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';

let browser, program, laptop, phone;
before(async () => { [browser, program] = await Promise.all([openBrowser(), Program.start('devices')]); });
after(async () => { await browser?.close(); await program?.stop(); });

beforeEach(async () => {
  laptop = await Person.arrive(browser, program, { userAgent: AGENTS.linux });
  phone = await Person.arrive(browser, program, { userAgent: AGENTS.iphone });
  await laptop.signIn();
  await phone.appear();
  await laptop.page.reload();
});
afterEach(async () => {
  await laptop.button('Sign out').first().click();
  await laptop.isOn('/');
  await laptop.leave();
  await phone.leave();
});

test('both are listed, and the one at hand is marked', async () => {
  const names = await laptop.devices.locator('strong').allInnerTexts();
  assert.deepEqual(names.sort(), ['Firefox on Linux', 'Safari on iPhone']);
  const here = laptop.devices.filter({ hasText: 'This device' });
  assert.match(await here.innerText(), /Firefox on Linux/);
  assert.equal(await here.getByRole('button').count(), 0, 'the corner signs this one out');
  await phone.button('Sign out').first().click();
  await phone.isOn('/');
  await laptop.page.reload();
  assert.equal(await laptop.devices.count(), 1, 'signed out there, gone here');
});

test('ending the second from the first sends it to sign in at its next click', async () => {
  await phone.open('/');
  await laptop.button('Sign out Safari on iPhone').click();
  await laptop.isOn('/dashboard');
  assert.equal(await laptop.devices.count(), 1);
  await phone.page.getByRole('link', { name: 'Go to your dashboard' }).click();
  await phone.isAskedToSignIn();
  await phone.page.getByRole('button', { name: ADA.name }).click();
  await phone.isOn('/dashboard');
  await phone.rememberCookie();
  await phone.button('Sign out').first().click();
  await phone.isOn('/');
});

test('a button on a page that is out of date leads to a way to sign in', async () => {
  await phone.page.reload();
  await laptop.button('Sign out Safari on iPhone').click();
  await laptop.isOn('/dashboard');
  await phone.button('Sign out Firefox on Linux').click();
  await phone.page.getByRole('link', { name: 'Sign in', exact: true }).waitFor();
  await laptop.page.reload();
  assert.equal(await laptop.devices.count(), 1, 'the ended one ends nothing');
});

test('signing out everywhere else leaves this device alone', async () => {
  const tablet = await Person.arrive(browser, program, { userAgent: AGENTS.mac });
  await tablet.appear();
  await laptop.page.reload();
  assert.equal(await laptop.devices.count(), 3);
  await laptop.button('Sign out everywhere else').click();
  await laptop.isOn('/dashboard');
  assert.equal(await laptop.devices.count(), 1);
  assert.equal(await laptop.button('Sign out everywhere else').count(), 0);
  for (const other of [phone, tablet]) {
    await other.page.reload();
    await other.isAskedToSignIn();
  }
  await tablet.leave();
});
