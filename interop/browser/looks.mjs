// How a page looks: nothing sticks out, text can be read; and a picture is taken.

import assert from 'node:assert/strict';
import { PHONE } from './person.mjs';

/** WCAG 2.2 AA for text of ordinary size. */
const CONTRAST_MIN = 4.5;

/** What people hold, and its options for a browser context. */
export const SCREENS = [
  ['desktop', {}],
  ['phone', { viewport: PHONE, deviceScaleFactor: 2, isMobile: true, hasTouch: true }],
];

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

/** Measures the page and keeps a picture of it under `name`. */
export async function check(person, name) {
  const { page } = person;
  const width = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width[0] <= width[1], `${name}: ${width[0]} px wide on a screen of ${width[1]}`);
  const texts = await page.evaluate(contrasts);
  assert.ok(texts.length > 0, `${name} shows text`);
  assert.ok(texts[0].ratio >= CONTRAST_MIN, `${name}: “${texts[0].text}” has a contrast of ${texts[0].ratio}`);
  await person.shoot(name);
}
