import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { installKernel } from '../../../kernels/install';
import { pythonWith } from '../../python';
import '../raw-kernel'; // refuses a stale build

// Debian: python3-jupyter-kernel-test
const python = pythonWith('jupyter_kernel_test');

it.skipIf(!python)('jupyter_kernel_test: every test passes but the pager, which cannot apply', async () => {
  const prefix = mkdtempSync(join(tmpdir(), 'patchwise-jupyter-'));
  try {
    await installKernel({ prefix });
    const env = { ...process.env, JUPYTER_PATH: join(prefix, 'share/jupyter'), HOME: prefix };
    const script = join(__dirname, 'jupyter_kernel_test_patchwise.py');
    const { stderr } = await promisify(execFile)(python!, [script], { env, cwd: prefix });
    expect(stderr).toMatch(/Ran 12 tests/);
    expect(stderr).toContain('OK (skipped=1)');
    expect(stderr).toMatch(/test_pager .* skipped/);
  } finally {
    rmSync(prefix, { recursive: true, force: true });
  }
});

const converter = pythonWith('nbclient', 'nbconvert', 'jupyter_client');

it.skipIf(!converter)(
  'nbclient executes a notebook, nbconvert makes HTML of it with its figures',
  async () => {
    const prefix = mkdtempSync(join(tmpdir(), 'patchwise-nbclient-'));
    try {
      await installKernel({ prefix });
      const kernelspec = {
        name: 'patchwise',
        display_name: 'Patchwise (TypeScript)',
        language: 'typescript',
      };
      const cells = [
        `const grid = pw.planGrid([64, 64, 64], { patch: [32, 32, 32], stride: [32, 32, 32] });`,
        `grid`,
        `console.log('patches', grid.patches);\nawait new Promise((r) => setTimeout(r, 50));\ngrid.patches * 2`,
        `throw new RangeError('wanted')`,
      ].map((source, at) => ({
        cell_type: 'code',
        id: `cell-${at}`,
        source,
        metadata: at === 3 ? { tags: ['raises-exception'] } : {},
        outputs: [],
        execution_count: null,
      }));
      const path = join(prefix, 'executed.ipynb');
      writeFileSync(
        path,
        JSON.stringify({ cells, metadata: { kernelspec }, nbformat: 4, nbformat_minor: 5 }),
      );
      const env = {
        ...process.env,
        JUPYTER_PATH: join(prefix, 'share/jupyter'),
        JUPYTER_DATA_DIR: join(prefix, 'data'),
        JUPYTER_CONFIG_DIR: join(prefix, 'config'),
        HOME: prefix,
      };
      const python = (...args: string[]) => promisify(execFile)(converter!, args, { env, cwd: prefix });
      await python('-m', 'nbconvert', '--to', 'notebook', '--execute', '--inplace', path);
      const { cells: executed } = JSON.parse(readFileSync(path, 'utf8')) as {
        cells: { outputs: Executed[] }[];
      };
      expect(Object.keys(executed[1]!.outputs[0]!.data!)).toEqual(
        expect.arrayContaining([
          'application/vnd.patchwise.figure+json',
          'application/vnd.plotly.v1+json',
          'image/svg+xml',
        ]),
      );
      expect(
        executed[2]!.outputs.map(({ text, data }) => [text ?? data?.['text/plain']].flat().join('')),
      ).toEqual(['patches 8\n', '16']);
      expect(executed[3]!.outputs[0]).toMatchObject({
        output_type: 'error',
        ename: 'RangeError',
        evalue: 'wanted',
      });
      await python('-m', 'nbconvert', '--to', 'html', path);
      const html = readFileSync(join(prefix, 'executed.html'), 'utf8');
      expect(/class="jp-RenderedSVG[^>]*>\s*<(svg|img)/.test(html)).toBe(true); // not toContain: a page is long
      expect(html.includes('patches 8')).toBe(true);
    } finally {
      rmSync(prefix, { recursive: true, force: true, maxRetries: 3 });
    }
  },
  180_000,
);

interface Executed {
  readonly text?: string | string[];
  readonly data?: Record<string, unknown>;
}
