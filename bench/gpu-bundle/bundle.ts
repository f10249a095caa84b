import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { packageRoot } from '../../src/internal';

/** The parts of this repository that the day needs: the built program, native sources, and tests, which read the sources. */
const parts = 'dist src bench test package.json tsconfig.json vitest.config.mts LICENSE README.md'.split(' ');
/** What only notebooks, figures and reports load. */
const notebooks = [
  'tslab',
  'typescript',
  'plotly.js-dist-min',
  'zeromq',
  'pdfkit',
  '@types/node',
  '@types/ndarray',
];
/** What no program reads: maps and declarations of modules. */
const unread = /\.(map|d\.[cm]?ts|md|markdown)$/;

interface Locked {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/**
 * Packs what a machine without Node, npm and network needs for the GPU day into a .tar.xz: Node, the program, the modules
 * that it loads, native sources and tests. The machine brings Python with PyTorch, and a C++ compiler.
 * @returns the bytes of the file
 */
export function packBundle(file: string): number {
  const work = mkdtempSync(join(tmpdir(), 'patchwise-bundle-'));
  try {
    const top = join(work, 'patchwise');
    mkdirSync(top);
    for (const part of parts) cpSync(join(packageRoot(), part), join(top, part), { recursive: true });
    for (const folder of modules())
      cpSync(join(packageRoot(), folder), join(top, folder), {
        recursive: true,
        // A module's own modules are in the list, if they are needed.
        filter: (path) =>
          !unread.test(path) && !relative(join(packageRoot(), folder), path).startsWith('node_modules'),
      });
    cpSync(process.execPath, join(top, 'node'));
    run('strip', [join(top, 'node')]);
    run('tar', [
      '--create',
      '--xz',
      '--file',
      file,
      '--directory',
      work,
      '--owner=0',
      '--group=0',
      'patchwise',
    ]);
    return statSync(file).size;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Folders of the modules that the program and Vitest load, as the lock file resolves them. */
export function modules(): string[] {
  const read = (name: string): unknown => JSON.parse(readFileSync(join(packageRoot(), name), 'utf8'));
  const { packages } = read('package-lock.json') as { packages: Readonly<Record<string, Locked>> };
  const { dependencies } = read('package.json') as { dependencies: Readonly<Record<string, string>> };
  const found = new Set<string>();
  const add = (from: string, name: string) => {
    let at = from;
    while (at !== '' && !packages[`${at}/node_modules/${name}`])
      at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')));
    const folder = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    // Optional modules of other systems are in the lock file and not here.
    if (found.has(folder) || !packages[folder] || !existsSync(join(packageRoot(), folder))) return;
    found.add(folder);
    const { dependencies, optionalDependencies, peerDependencies } = packages[folder];
    for (const next of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))
      add(folder, next);
  };
  for (const name of Object.keys(dependencies)) if (!notebooks.includes(name)) add('', name);
  add('', 'vitest');
  return [...found];
}
