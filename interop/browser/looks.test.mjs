// Every page, light and dark, on a desk and on a phone: nothing sticks out, text can be read, and a picture is taken.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { check, SCREENS } from './looks.mjs';
import { AGENTS, openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';

let browser, program;
before(async () => { [browser, program] = await Promise.all([openBrowser(), Program.start('looks')]); });
after(async () => { await browser?.close(); await program?.stop(); });

async function others() {
  const people = [];
  for (const userAgent of [AGENTS.mac, AGENTS.iphone, AGENTS.long]) {
    const other = await Person.arrive(browser, program, { userAgent });
    await other.appear();
    people.push(other);
  }
  return people;
}

for (const [screen, options] of SCREENS) {
  for (const colorScheme of ['light', 'dark']) {
    test(`${screen}, ${colorScheme}`, async () => {
      const as = `${screen}-${colorScheme}`;
      const ada = await Person.arrive(browser, program, { ...options, colorScheme, userAgent: AGENTS.linux });
      await ada.open('/');
      await check(ada, `landing-${as}`);
      await ada.open('/auth/whop');
      await ada.isAskedToSignIn();
      await check(ada, `consent-${as}`);
      await ada.appear();
      await check(ada, `dashboard-one-device-${as}`);
      await ada.open('/');
      await check(ada, `landing-signed-in-${as}`);
      const more = await others();
      await ada.open('/dashboard');
      assert.equal(await ada.devices.count(), 4);
      await check(ada, `dashboard-${as}`);
      await ada.button('Sign out everywhere else').click();
      await ada.isOn('/dashboard');
      await notices(ada, as);
      await ada.open('/logout');
      await ada.isOn('/');
      await ada.leave();
      for (const other of more) await other.leave();
    });
  }
}

async function notices(ada, as) {
  ada.expect('404 /nowhere');
  await ada.open('/nowhere');
  await check(ada, `not-found-${as}`);
  ada.expect('501 /auth/oidc');
  await ada.open('/auth/oidc');
  await check(ada, `not-configured-${as}`);
  await ada.page.route('http://elsewhere.example/', (route) =>
    route.fulfill({ contentType: 'text/html', body: `<a href="${program.url}/logout">a link</a>` }));
  await ada.page.goto('http://elsewhere.example/');
  await ada.page.getByRole('link').click();
  await ada.isOn('/logout');
  await check(ada, `sign-out-question-${as}`);
}
