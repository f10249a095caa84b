// Draws every figure of executed reports as PNG, in light and in dark, to be looked at:
// node docs/make-figures.mjs [--out figures] reports/blending.html …
import { mkdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

/** Opens a file in a headless Chromium that draws WebGL with the processor. */
export async function openPage(path, { dark = false, width = 1000 } = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      ...['--no-sandbox', '--disable-dev-shm-usage', '--ignore-gpu-blocklist'],
      ...['--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
    ],
  });
  const page = await browser.newPage({
    viewport: { width, height: 900 },
    colorScheme: dark ? 'dark' : 'light',
  });
  await page.goto(`file://${resolve(path)}`);
  return { page, close: () => browser.close() };
}

/** Opens a report; resolves once its figures and its volumes are drawn. */
export async function openReport(path, options) {
  const { page, close } = await openPage(path, options);
  await page.waitForFunction(() =>
    [...document.querySelectorAll('.figure')].every((figure) =>
      figure.querySelector('.main-svg, .patchwise-viewer'),
    ),
  );
  for (const viewer of await page.locator('.patchwise-viewer').all()) {
    await viewer.scrollIntoViewIfNeeded(); // volumes out of sight are not drawn
    await viewer.filter({ hasNotText: 'unpacking' }).waitFor({ timeout: 120_000 });
    await page.waitForTimeout(1000);
  }
  await page.waitForTimeout(1500); // images within figures are decoded after their frame is there
  return { page, close };
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
