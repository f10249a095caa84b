import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(__dirname, '..');

/** DESIGN's data flow: a part may import the parts before it and no other. `compute` stands apart from the voxels. */
const ground = [
  'spelling',
  'errors',
  'random',
  'progress',
  'package',
  'atomic-file',
  'make-folder',
  'process-identity',
  'timer',
  'memory',
  'early-signals',
  'timer',
];
const flow = ['volume', 'patch', 'compute', 'model', 'train', 'evaluate', 'codes', 'interchange', 'plot'];
const allowed: Record<string, readonly string[]> = {
  ...Object.fromEntries(ground.map((part) => [part, []])),
  ...Object.fromEntries(flow.map((part, i) => [part, [...ground, ...flow.slice(0, i)]])),
  errors: ['spelling'],
  memory: ['errors', 'package'],
  'atomic-file': ['errors'],
  compute: ground,
  model: [...ground, 'compute'],
  index: [...ground, ...flow],
  cli: ['index', 'spelling', 'kernels', 'bench', 'early-signals'],
  kernels: ['index', 'package', 'early-signals', 'timer', 'make-folder'],
  bench: ['index', 'kernels'],
  data: ['index', 'make-folder'],
};

interface ImportLine {
  readonly from: string;
  readonly to: string;
  readonly file: string;
  readonly specifier: string;
}

describe('the layout is the data flow', () => {
  const imports = sourceFiles().flatMap(importsOf);

  it('reads the import lines of every part', () => {
    expect(new Set(imports.map((line) => line.from))).toEqual(new Set(Object.keys(allowed).filter(hasFiles)));
  });

  it('imports point one way', () => {
    const wrong = imports
      .filter((line) => line.to !== line.from && !allowed[line.from]?.includes(line.to))
      .map((line) => `${line.file} imports ${line.specifier}`);
    expect(wrong).toEqual([]);
  });

  it('only the files named after tslab touch it, and the bench that runs it as a peer', () => {
    const touching = sourceFiles().filter((file) =>
      /(?:from|import\(|require\(|resolve\()\s*['"]@?tslab\b/.test(readFileSync(file, 'utf8')),
    );
    const others = touching.filter(
      (file) => !/^(kernels.tslab[\w-]*|bench.kernel)\.ts$/.test(relative(root, file)),
    );
    expect(others).toEqual([]);
    expect(touching).toContain(join(root, 'kernels', 'tslab.ts'));
  });

  it('no folder is made by mkdir with `recursive`, which may never return', () => {
    const parts = sourceFiles().filter((file) => partOf(file) !== 'bench');
    const making = parts.filter((file) => /\bmkdir(Sync)?\([^;]*recursive/.test(readFileSync(file, 'utf8')));
    expect(making).toEqual([]);
  });
});

function hasFiles(part: string): boolean {
  return sourceFiles().some((file) => partOf(file) === part && importsOf(file).length > 0);
}

function sourceFiles(): string[] {
  return ['src', 'kernels', 'bench', 'data'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(root, folder, name)),
  );
}

/** `src/volume/nifti.ts` belongs to `volume`, `src/cli.ts` to `cli`, `kernels/wire.ts` to `kernels`. */
function partOf(file: string): string {
  const [top, second] = relative(root, file).split(sep) as [string, string];
  return top === 'src' ? second.replace(/\.ts$/, '') : top;
}

function importsOf(file: string): ImportLine[] {
  const text = readFileSync(file, 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import|import\(|require\()\s*['"](\.[^'"]*)['"]/g)];
  return specifiers.map(([, specifier]) => ({
    from: partOf(file),
    to: partOf(`${resolve(dirname(file), specifier!)}.ts`),
    file: relative(root, file),
    specifier: specifier!,
  }));
}
