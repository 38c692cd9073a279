// Everything with the keyboard alone, and always with a visible focus.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADA, AGENTS, openBrowser, Person } from './person.mjs';
import { Program } from './program.mjs';

const TABS_MAX = 12;
const OUTLINE_PX_MIN = 2;

let browser, program;
before(async () => { [browser, program] = await Promise.all([openBrowser(), Program.start('keyboard')]); });
after(async () => { await browser?.close(); await program?.stop(); });

/** Presses Tab until the element of this name has the focus; answers what came before it. */
async function tabTo(page, name) {
  const passed = [];
  while (passed.length < TABS_MAX) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      return {
        name: element.getAttribute('aria-label') ?? element.innerText.trim(),
        outline: outlineStyle === 'none' ? 0 : parseFloat(outlineWidth),
        onScreen: box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight,
      };
    });
    assert.ok(focused.outline >= OUTLINE_PX_MIN && focused.onScreen, `focus on “${focused.name}” can be seen`);
    if (focused.name === name) return passed;
    passed.push(focused.name);
  }
  return assert.fail(`“${name}” is not reached; the order is ${passed.join(', ')}`);
}

test('sign in, end another device, sign out', async () => {
  const phone = await Person.arrive(browser, program, { userAgent: AGENTS.iphone });
  await phone.appear();
  const ada = await Person.arrive(browser, program);
  const { page } = ada;

  await ada.open('/');
  assert.deepEqual(await tabTo(page, 'Sign in'), ['Skip to the content', 'Sessile']);
  await page.keyboard.press('Enter');
  await ada.isAskedToSignIn();
  assert.deepEqual(await tabTo(page, `Continue as ${ADA.name}`), []);
  await page.keyboard.press('Enter');
  await ada.isOn('/dashboard');
  await ada.rememberCookie();

  const before = await tabTo(page, 'Sign out Safari on iPhone');
  assert.deepEqual(before, ['Skip to the content', 'Sessile', 'Sign out', 'New order', 'Sign out everywhere else']);
  await page.keyboard.press('Enter');
  await page.waitForLoadState();
  await ada.devices.nth(1).waitFor({ state: 'detached' });
  await phone.page.reload();
  await phone.isAskedToSignIn();

  await tabTo(page, 'Sign out');
  await page.keyboard.press('Space');
  await ada.isOn('/');
  await ada.leave();
  await phone.leave();
});

test('the skip link leads past the bar', async () => {
  const ada = await Person.arrive(browser, program);
  await ada.open('/');
  await tabTo(ada.page, 'Skip to the content');
  await ada.page.keyboard.press('Enter');
  assert.deepEqual(await tabTo(ada.page, 'Sign in'), []);
  await ada.leave();
});
