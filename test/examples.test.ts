import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as pw from '../src/index';
import { RawKernel } from './kernels/raw-kernel';

/** An example of a docstring, and the name that the docstring is of. */
interface Example {
  readonly of: string;
  readonly code: string;
}

const src = resolve(__dirname, '..', 'src');

/** Docstrings with what they are of, in the order of the files. */
function docstrings(): { readonly text: string; readonly of: string }[] {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  return files.sort().flatMap((name) => {
    const text = readFileSync(join(src, name), 'utf8');
    return [...text.matchAll(/^( *)\/\*\*([\s\S]*?)\*\/\n(.*)/gm)].map(([, , doc, line]) => ({
      text: doc!.replace(/^ *\* ?/gm, ''),
      of:
        /^export (?:async )?(?:function|abstract class|class|const|interface|type)\*? (\w+)/.exec(
          line!,
        )?.[1] ?? name,
    }));
  });
}

function examples(): Example[] {
  return docstrings().flatMap(({ text, of }) =>
    [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => ({ of, code: code! })),
  );
}

/** What notebooks use most has an example each. */
const mostUsed = [
  ...[
    'attach',
    'compareVolumes',
    'comparisonFigure',
    'display',
    'evaluateFiles',
    'exportOnnx',
    'forecastMemory',
  ],
  ...['frameOf', 'listRuns', 'openDataset', 'phantom', 'planGrid', 'prepareDataset', 'psnr', 'readVolume'],
  ...['reconstruct', 'resampleVolume', 'ssim', 'train', 'volumeFigure', 'writeVolume'],
];

describe('the docstrings of the public names', () => {
  it('say something of every value', () => {
    const documented = new Set(docstrings().map(({ of }) => of));
    const index = readFileSync(join(src, 'index.ts'), 'utf8');
    for (const [, own, known] of index.matchAll(/\b(\w+) as (\w+)/g))
      if (documented.has(own!)) documented.add(known!);
    expect(Object.keys(pw).filter((name) => !documented.has(name))).toEqual([]);
  });

  it('give an example of what notebooks use most', () => {
    const shown = new Set(examples().map(({ of }) => of));
    expect(mostUsed.filter((name) => !shown.has(name))).toEqual([]);
  });
});

describe('an example', { timeout: 120_000 }, () => {
  let kernel: RawKernel;
  beforeAll(async () => {
    kernel = await RawKernel.start({ PATCHWISE_RUNS: 'runs', PATCHWISE_TYPES: 'error' });
    await run("await pw.writeVolume('ct.nii.gz', pw.phantom({ shape: [64, 64, 48] }))");
    await run("await pw.prepareDataset('ct.nii.gz', 'prepared')");
    const dicom = JSON.stringify(resolve(__dirname, 'fixtures', 'dicom', 'tree'));
    await run(`(await import('node:fs')).cpSync(${dicom}, 'dicom', { recursive: true })`);
  });
  afterAll(() => kernel?.stop());

  /** Runs a cell, types checked. */
  async function run(code: string): Promise<void> {
    const { reply } = await kernel.execute(code);
    expect(reply.evalue).toBeUndefined();
    expect(reply.status).toBe('ok');
  }

  // Those of runs need one: `train` comes first.
  const ordered = examples().sort((a, b) => Number(b.of === 'train') - Number(a.of === 'train'));
  it.each(ordered)('of $of runs in a cell', async ({ code }) => {
    // In a block, so that each stands by itself; `pw` is there in every notebook.
    await run(`{\n${code.replace("import * as pw from 'patchwise';\n", '')}}`);
  });
});
