// Draws every figure of executed reports as PNG, in light and in dark, to be looked at:
// node docs/make-figures.mjs [--out figures] reports/blending.html …
import { mkdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

/** Opens a report in a headless Chromium; resolves once its figures are drawn. */
export async function openReport(path, { dark = false, width = 1000 } = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const page = await browser.newPage({
    viewport: { width, height: 900 },
    colorScheme: dark ? 'dark' : 'light',
  });
  await page.goto(`file://${resolve(path)}`);
  await page.waitForFunction(() =>
    [...document.querySelectorAll('.figure')].every((figure) => figure.querySelector('.main-svg')),
  );
  await page.waitForTimeout(1500); // images within figures are decoded after their frame is there
  return { page, close: () => browser.close() };
}

async function main() {
  const { values, positionals } = parseArgs({
    options: { out: { type: 'string', default: 'figures' } },
    allowPositionals: true,
  });
  if (positionals.length === 0)
    throw new Error('usage: node docs/make-figures.mjs [--out DIR] report.html …');
  await mkdir(values.out, { recursive: true });
  for (const report of positionals)
    for (const theme of ['light', 'dark']) {
      const { page, close } = await openReport(report, { dark: theme === 'dark' });
      const figures = await page.locator('.figure, .output img').all();
      for (const [i, figure] of figures.entries()) {
        const name = `${basename(report, '.html')}-${i + 1}-${theme}.png`;
        await figure.screenshot({ path: join(values.out, name) });
        console.log(join(values.out, name));
      }
      await close();
    }
}

if (import.meta.main ?? process.argv[1] === import.meta.filename) await main();
