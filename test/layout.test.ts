import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(__dirname, '..');
/** More than this in one folder is no longer taken in at a glance. */
const MOST_FILES = 22;

/** What every part may import; docs/architecture.md says what is what. */
const ground = [
  'vec3',
  'setting',
  'spelling',
  'errors',
  'random',
  'progress',
  'package',
  'atomic-file',
  'controls',
  'display-protocol',
  'volumes-bundle',
  'duration',
  'escape',
  'median',
  'make-folder',
  'process-identity',
  'protobuf',
  'timer',
  'memory',
  'early-signals',
  'safetensors',
];
/** The data flow: a part may import the parts before it and no other. `compute` stands apart from the voxels. */
const flow = [
  'volume',
  'patch',
  'fidelity',
  'compute',
  'model',
  'train',
  'reconstruct',
  'evaluate',
  'codes',
  'interchange',
  'plot',
  'interact',
];
const allowed: Record<string, readonly string[]> = {
  ...Object.fromEntries(ground.map((part) => [part, []])),
  ...Object.fromEntries(flow.map((part, i) => [part, [...ground, ...flow.slice(0, i)]])),
  errors: ['spelling'],
  controls: ['escape'],
  'display-protocol': ['controls', 'volumes-bundle'],
  vec3: ['errors'],
  setting: ['errors', 'vec3'],
  memory: ['errors', 'package'],
  'atomic-file': ['errors'],
  'process-identity': ['errors'],
  safetensors: ['errors', 'atomic-file', 'make-folder', 'setting'],
  compute: ground,
  model: [...ground, 'compute'],
  index: [...ground, ...flow],
  internal: [...ground, ...flow],
  cli: ['index', 'internal', 'spelling', 'kernels', 'bench', 'early-signals'],
  // Before a cell asks for the library a kernel loads only the ground.
  kernels: ['index', 'internal', ...ground],
  bench: ['index', 'internal', 'kernels', 'median'],
  data: ['index', 'internal', 'make-folder'],
};

/** The rooms of a part in the order of their imports: a file may import from its own room and those before it. */
const rooms: Record<string, readonly string[]> = {
  volume: ['simd', 'base', 'formats', 'dicom', '.', 'phantom', 'store', 'prepare'],
  compute: ['machine', 'contract', 'ops', 'cpu', 'wasm', 'libtorch', 'tensorflow', '.'],
  plot: ['base', 'svg', 'paper', 'figure', 'volume', 'comparison', 'run', '.'],
  train: ['collective', 'settings', 'data', 'learn', 'record', 'ranks', '.'],
  kernels: [
    ...['browser', 'process', 'protocol', 'display', 'cells', 'checker', 'engine', 'tslab'],
    ...['live', 'interact', 'headless', 'report', '.'],
  ],
};

interface ImportLine {
  readonly from: string;
  readonly to: string;
  /** Rooms, where both ends are of one part; '.' is the part's own folder. */
  readonly fromRoom: string;
  readonly toRoom: string;
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

  it.each(Object.keys(rooms))('the rooms of %s point one way too', (part) => {
    const order = rooms[part]!;
    const inside = imports.filter((line) => line.from === part && line.to === part);
    expect(new Set(inside.flatMap((line) => [line.fromRoom, line.toRoom]))).toEqual(new Set(order));
    const wrong = inside.filter((line) => order.indexOf(line.toRoom) > order.indexOf(line.fromRoom));
    expect(wrong.map((line) => `${line.file} imports ${line.specifier}`)).toEqual([]);
  });

  it('no folder shows more than twenty-odd files', () => {
    const counts = new Map<string, number>();
    for (const file of sourceFiles()) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
    const full = [...counts].filter(([, count]) => count > MOST_FILES);
    expect(full.map(([folder, count]) => `${relative(root, folder)}: ${count}`)).toEqual([]);
  });

  it('docs/architecture.svg shows it', () => {
    execFileSync(process.execPath, [join(root, 'docs', 'make-architecture.mjs'), '--check'], {
      stdio: 'pipe',
    });
  });

  it('only the files named after tslab touch it, and the bench that runs it as a peer', () => {
    const touching = sourceFiles().filter((file) =>
      /(?:from|import\(|require\(|resolve\()\s*['"]@?tslab\b/.test(readFileSync(file, 'utf8')),
    );
    const others = touching.filter(
      (file) => !/^(kernels.tslab.[\w-]+|bench.kernel)\.ts$/.test(relative(root, file)),
    );
    expect(others).toEqual([]);
    expect(touching).toContain(join(root, 'kernels', 'tslab', 'tslab.ts'));
  });

  it('a thread that compiles imports our way to load TypeScript before all else of ours', () => {
    for (const name of ['checker', 'compiler']) {
      const text = readFileSync(join(root, 'kernels', 'checker', `${name}-thread.ts`), 'utf8');
      const [first] = text.match(/^import (?!type )[^;]* from '\.[^;]*/gm)!;
      expect(first).toContain("'../cells/load-typescript'");
    }
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

/** `src/volume/read.ts` belongs to `volume`, `src/cli.ts` to `cli`, `kernels/main.ts` to `kernels`. */
function partOf(file: string): string {
  const [top, second] = relative(root, file).split(sep) as [string, string];
  return top === 'src' ? second.replace(/\.ts$/, '') : top;
}

/** `src/train/record/status.ts` belongs to the room `record`, `src/train/run.ts` to '.'. */
function roomOf(file: string): string {
  const [top, ...rest] = relative(root, dirname(file)).split(sep);
  return (top === 'src' ? rest[1] : rest[0]) ?? '.';
}

function importsOf(file: string): ImportLine[] {
  const text = readFileSync(file, 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import|import\(|require\()\s*['"](\.[^'"]*)['"]/g)];
  return specifiers.map(([, specifier]) => ({
    from: partOf(file),
    to: partOf(`${resolve(dirname(file), specifier!)}.ts`),
    fromRoom: roomOf(file),
    toRoom: roomOf(`${resolve(dirname(file), specifier!)}.ts`),
    file: relative(root, file),
    specifier: specifier!,
  }));
}
