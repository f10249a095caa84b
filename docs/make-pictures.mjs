// Makes the pictures of the README from the current code, which takes some minutes: npm run build && node docs/make-pictures.mjs
// With reports at hand (reports/quickstart.html reports/blending.html), it takes the pictures from those.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openReport } from './make-figures.mjs';

/** Each picture is a cell of a report with its output: the cell whose code has this text. */
const pictures = [
  { name: 'live', notebook: 'quickstart', cell: 'run.live()' },
  { name: 'comparison', notebook: 'quickstart', cell: 'pw.compareVolumes(ct, { linear, gaussian })' },
  { name: 'blending', notebook: 'blending', cell: 'hann looks like gaussian' },
];

const root = resolve(import.meta.dirname, '..');
const made = mkdtempSync(join(tmpdir(), 'patchwise-pictures-'));
try {
  const given = process.argv.slice(2);
  for (const notebook of new Set(pictures.map(({ notebook }) => notebook))) {
    const report = given.find((path) => path.endsWith(`${notebook}.html`)) ?? run(notebook);
    const { page, close } = await openReport(report);
    for (const { name, cell } of pictures.filter((picture) => picture.notebook === notebook)) {
      await page
        .locator('section', { hasText: cell })
        .first()
        .screenshot({ path: join(root, 'docs', `${name}.png`) });
      console.log(`wrote docs/${name}.png`);
    }
    await close();
  }
} finally {
  rmSync(made, { recursive: true, force: true });
}

/** Executes a notebook headless; returns its report. */
function run(notebook) {
  const [output, report] = ['ipynb', 'html'].map((ending) => join(made, `${notebook}.${ending}`));
  const file = join(root, 'notebooks', `${notebook}.ipynb`);
  const flags = ['--output', output, '--html', report];
  const { status } = spawnSync(
    process.execPath,
    [join(root, 'dist/src/cli.js'), 'notebook', 'run', file, ...flags],
    {
      stdio: 'inherit',
      env: { ...process.env, PATCHWISE_RUNS: join(made, 'runs') },
    },
  );
  if (status !== 0) throw new Error(`${file} did not run`);
  return report;
}
