// Makes the pictures of the README from the current code and a chest CT, which takes some minutes:
// npm run build && node docs/make-pictures.mjs ct.nii.gz
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openPage, openReport } from './make-figures.mjs';

const require = createRequire(import.meta.url);
const root = resolve(import.meta.dirname, '..');
const made = mkdtempSync(join(tmpdir(), 'patchwise-pictures-'));
process.env.PATCHWISE_RUNS = join(made, 'runs');
try {
  const [ct] = process.argv.slice(2);
  if (!ct) throw new Error('usage: node docs/make-pictures.mjs ct.nii.gz');
  const quickstart = runNotebook('quickstart', ['-p', `volume=${resolve(ct)}`]);
  await pictureOf('live', quickstart, 'run.live()');
  await volumePictures(ct);
  await pictureOf('blending', runNotebook('blending'), 'hann looks like gaussian');
} finally {
  rmSync(made, { recursive: true, force: true });
}

/** A cell of a report with its output: the cell whose code has this text. */
async function pictureOf(name, report, cell) {
  const { page, close } = await openReport(report);
  await save(name, page.locator('section', { hasText: cell }).first());
  await close();
}

/** The volume viewer at full resolution, as a page with a kernel has it: the CT, and the run's two reconstructions. */
async function volumePictures(path) {
  const pw = require('../dist/src/index.js');
  const { drawView } = require('../dist/src/plot/volume/view.js');
  const { drawComparison } = require('../dist/src/plot/comparison/volumes.js');
  const ct = await pw.readVolume(path);
  const [run] = await pw.listRuns();
  const { linear, gaussian } = await pw.reconstruct(run, ct, { windows: ['linear', 'gaussian'] });
  const at = ct.shape.map((size, axis) => Math.round(size * [0.56, 0.46, 0.42][axis]));
  const { bundle: view } = drawView(pw.view(ct, { at }));
  const { bundle: compared } = drawComparison(pw.compareVolumes(ct, { linear, gaussian }));
  const window = view.windows[0];
  const windows = [window, ...compared.windows.filter(({ label }) => label !== window.label)];
  await saveViewer('view', whole(view, [ct]));
  await saveViewer('comparison', whole({ ...compared, at, windows }, [ct, linear, gaussian]));
}

/** The bundle with all voxels in place of its previews. */
function whole(bundle, volumes) {
  const stored = bundle.volumes.map((volume, i) => {
    const { data } = volumes[i];
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const value of data) [low, high] = [Math.min(low, value), Math.max(high, value)];
    const [slope, intercept] = [(high - low) / 65000, (low + high) / 2];
    const numbers = Int16Array.from(data, (value) => Math.round((value - intercept) / slope));
    const { shape, affine } = volume;
    const preview = { shape, affine, slope, intercept, data: gzipSync(numbers).toString('base64') };
    return { ...volume, preview };
  });
  return { ...bundle, volumes: stored };
}

async function saveViewer(name, bundle) {
  const file = join(made, `${name}.html`);
  const script = readFileSync(join(root, 'dist/kernels/browser/viewer.js'), 'utf8');
  const mount = `patchwiseViewer.mount(document.querySelector('section'), ${JSON.stringify(bundle)})`;
  const scripts = [script, mount].map(
    (text) => `<script>${text.replaceAll('</script', '<\\/script')}</script>`,
  );
  writeFileSync(file, `<!DOCTYPE html><meta charset="utf-8"><section></section>${scripts.join('')}`);
  const { page, close } = await openPage(file);
  await page.getByText('full resolution').waitFor({ timeout: 120_000 });
  await page.waitForTimeout(1500);
  await save(name, page.locator('section'));
  await close();
}

async function save(name, what) {
  await what.screenshot({ path: join(root, 'docs', `${name}.png`) });
  console.log(`wrote docs/${name}.png`);
}

/** Executes a notebook headless; returns its report. */
function runNotebook(notebook, parameters = []) {
  const [output, report] = ['ipynb', 'html'].map((ending) => join(made, `${notebook}.${ending}`));
  const file = join(root, 'notebooks', `${notebook}.ipynb`);
  const flags = ['--output', output, '--html', report, ...parameters];
  const command = [join(root, 'dist/src/cli.js'), 'notebook', 'run', file, ...flags];
  const { status } = spawnSync(process.execPath, command, { stdio: 'inherit', env: process.env });
  if (status !== 0) throw new Error(`${file} did not run`);
  return report;
}
