// Every page, light and dark, on a desk and on a phone: nothing sticks out, text can be read, and a picture is taken.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AGENTS, openBrowser, Person, PHONE } from './person.mjs';
import { Program } from './program.mjs';

/** WCAG 2.2 AA for text of ordinary size. */
const CONTRAST_MIN = 4.5;

let browser, program;
before(async () => { [browser, program] = await Promise.all([openBrowser(), Program.start('looks')]); });
after(async () => { await browser?.close(); await program?.stop(); });

/** Visible text and its contrast to what is behind it, the weakest first. */
function contrasts() {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((value) => {
      const c = value / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return rgba('Canvas');
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const [a, b] = [rgba(getComputedStyle(element).color), behind(element)].map(luminance);
    found.push({ text: walker.currentNode.data.trim(), ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) });
  }
  return found.sort((one, other) => one.ratio - other.ratio);
}

async function check(person, name) {
  const { page } = person;
  const width = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width[0] <= width[1], `${name}: ${width[0]} px wide on a screen of ${width[1]}`);
  const texts = await page.evaluate(contrasts);
  assert.ok(texts.length > 0, `${name} shows text`);
  assert.ok(texts[0].ratio >= CONTRAST_MIN, `${name}: “${texts[0].text}” has a contrast of ${texts[0].ratio}`);
  await person.shoot(name);
}

async function others() {
  const people = [];
  for (const userAgent of [AGENTS.mac, AGENTS.iphone, AGENTS.long]) {
    const other = await Person.arrive(browser, program, { userAgent });
    await other.appear();
    people.push(other);
  }
  return people;
}

const screens = [
  ['desktop', {}],
  ['phone', { viewport: PHONE, deviceScaleFactor: 2, isMobile: true, hasTouch: true }],
];

for (const [screen, options] of screens) {
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
