import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = resolve(__dirname, '..');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchwise-package-'));
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  symlinkSync(root, join(modules, 'patchwise'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const program =
  'console.log(pw.planGrid([512, 512, 604], { patch: [256, 256, 128], stride: [192, 192, 96] }).patches)';

describe('the package', () => {
  it('loads as CommonJS', async () => {
    writeFileSync(join(folder, 'cell.cjs'), `const pw = require('patchwise'); ${program}`);
    expect((await run(process.execPath, [join(folder, 'cell.cjs')])).stdout).toBe('54\n');
  });

  it('gives what is not for notebooks as `patchwise/internal`', async () => {
    const use = "require('patchwise/internal').duration(90)";
    writeFileSync(join(folder, 'internal.cjs'), `console.log(${use}, require('patchwise').duration)`);
    const { stdout } = await run(process.execPath, [join(folder, 'internal.cjs')]);
    expect(stdout).toMatch(/^1 min 30 s undefined\n$|^\S.* undefined\n$/);
  });

  it('loads as an ES module, names and all, without a warning', async () => {
    writeFileSync(join(folder, 'cell.mjs'), `import * as pw from 'patchwise'; ${program}`);
    const { stdout, stderr } = await run(process.execPath, [join(folder, 'cell.mjs')]);
    expect([stdout, stderr]).toEqual(['54\n', '']);
  });

  it('has a command that a shell executes: npx makes it executable only once for each folder', async () => {
    const { stdout } = await run(join(root, 'dist', 'src', 'cli.js'), [
      'plan',
      '--volume',
      '64,64,76',
      '--json',
    ]);
    expect(JSON.parse(stdout).coverage).toBe(1);
  });

  it.each([
    ["the notebooks' TypeScript 5.0", '@tslab/typescript-for-tslab', 'Node10'],
    ["this project's TypeScript", 'typescript', 'NodeNext'],
  ])('has declarations that %s reads strictly', (_name, compiler, resolution) => {
    const ts = createRequire(join(root, 'package.json'))(compiler) as typeof import('typescript');
    const file = join(folder, `cell-${resolution}.ts`);
    writeFileSync(
      file,
      `import * as pw from 'patchwise';
import { compiledFile } from 'patchwise/internal';
export const path: string = compiledFile('src', 'cli.js');
export const grid: pw.Grid = pw.planGrid([64, 64, 76], { patch: [32, 32, 16] });
export const psnr: number = pw.psnr(new Float32Array(8), new Float32Array(8), { dataRange: 2 });
export async function main(run: pw.Run, ct: pw.Volume): Promise<number | undefined> {
  const { linear } = await pw.reconstruct(run, ct, { windows: ['linear', 'gaussian'] });
  for await (const record of run.metrics()) if (record.split === 'validation') return record.psnr;
  return linear.perplexity + ct.view().get(0, 0, 0);
}
// @ts-expect-error a window that does not exist
export const wrong = (run: pw.Run, ct: pw.Volume) => pw.reconstruct(run, ct, { window: 'round' });
`,
    );
    const compiled = ts.createProgram([file], {
      strict: true,
      noEmit: true,
      target: ts.ScriptTarget.ES2022,
      module: resolution === 'Node10' ? ts.ModuleKind.CommonJS : ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind[resolution as 'Node10'],
      types: ['node'],
      typeRoots: [join(root, 'node_modules', '@types')],
      preserveSymlinks: false,
      skipLibCheck: true,
    });
    const problems = ts.getPreEmitDiagnostics(compiled).map((problem) => {
      const where = problem.file ? `${problem.file.fileName}: ` : '';
      return where + ts.flattenDiagnosticMessageText(problem.messageText, '\n');
    });
    expect(problems).toEqual([]);
  });
});
