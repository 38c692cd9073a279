// After signing out nothing is left: not behind the back button, not for the old cookie.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADA, openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';

let browser, program;
before(async () => {
  // With the back/forward cache, as people have it; playwright would switch it off.
  const options = { ignoreDefaultArgs: ['--disable-back-forward-cache'] };
  [browser, program] = await Promise.all([openBrowser(options), Program.start('sign-out')]);
});
after(async () => { await browser?.close(); await program?.stop(); });

test('the back button does not bring the dashboard back', async () => {
  const ada = await Person.arrive(browser, program);
  await ada.signIn();
  await ada.button('Sign out').first().click();
  await ada.isOn('/');
  await ada.page.getByRole('link', { name: 'Sign in', exact: true }).waitFor();
  await ada.page.goBack();
  await ada.isAskedToSignIn();
  assert.ok(!(await ada.page.content()).includes(ADA.id), 'nothing of the dashboard is shown');
  await ada.leave();
});

test('the old cookie is refused', async () => {
  const ada = await Person.arrive(browser, program);
  await ada.signIn();
  const cookie = await ada.cookie();
  await ada.button('Sign out').first().click();
  await ada.isOn('/');
  assert.equal(await ada.cookie(), undefined, 'the browser dropped it');
  await ada.leave();

  const thief = await Person.arrive(browser, program);
  await thief.context.addCookies([cookie]);
  await thief.open('/dashboard');
  await thief.isAskedToSignIn();
  const headers = { cookie: `sid=${cookie.value}`, accept: 'application/json' };
  const answer = await fetch(`${program.url}/api/me`, { headers, signal: AbortSignal.timeout(5000) });
  assert.equal(answer.status, 401);
  await thief.leave();
});

test('a link on another site asks first', async () => {
  const ada = await Person.arrive(browser, program);
  await ada.signIn();
  const stranger = await ada.context.newPage();
  await stranger.route('http://elsewhere.example/', (route) =>
    route.fulfill({ contentType: 'text/html', body: `<a href="${program.url}/logout">a link</a>` }));
  await stranger.goto('http://elsewhere.example/');
  await stranger.getByRole('link').click();
  await stranger.getByRole('heading', { name: 'Sign out?' }).waitFor();
  await stranger.getByRole('link', { name: 'Stay signed in' }).click();
  await stranger.getByRole('heading', { level: 1, name: ADA.email }).waitFor();
  await stranger.goto('http://elsewhere.example/');
  await stranger.getByRole('link').click();
  await stranger.getByRole('main').getByRole('button', { name: 'Sign out' }).click();
  await stranger.waitForURL(`${program.url}/`);
  await ada.page.reload();
  await ada.isAskedToSignIn();
  await ada.leave();
});
