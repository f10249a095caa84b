// Takes the pictures of the README from an executed report: node docs/make-pictures.mjs reports/quickstart.html
import { resolve } from 'node:path';
import { chromium } from 'playwright-core';

const [report] = process.argv.slice(2);
if (!report) throw new Error('usage: node docs/make-pictures.mjs <report.html>; make one with npm start');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const page = await browser.newPage({ viewport: { width: 1000, height: 900 } });
await page.goto(`file://${resolve(report)}`);
await page.waitForSelector('.js-plotly-plot .main-svg');
await page.waitForTimeout(2000);
for (const [name, text] of [
  ['live', 'patches per second'],
  ['comparison', 'against the reference'],
]) {
  const figure = page.locator('.js-plotly-plot', { hasText: text }).first();
  await figure.screenshot({ path: resolve(import.meta.dirname, `${name}.png`) });
  console.log(`wrote docs/${name}.png`);
}
await browser.close();
