import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(__dirname, '..');
/** What runs in browsers is bundled. */
const BROWSER = join('kernels', 'browser');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  overrides: Record<string, Record<string, string>>;
};

/** Every dependency is a decision. Adding one means saying here what it is for. */
const chosen: Record<string, string> = {
  '@expo-google-fonts/arimo': 'the letters of saved figures: a machine may have no font',
  '@niivue/dcm2niix': 'DICOM series as NIfTI: dcm2niix itself, as WebAssembly, 1.6 MB',
  '@resvg/resvg-wasm': 'saved figures as PNG; WebAssembly, 2.5 MB',
  '@tensorflow/tfjs-backend-cpu': 'the reference backend the others are checked against',
  '@tensorflow/tfjs-backend-wasm': 'the embedded backend: XNNPACK from npm alone',
  '@tensorflow/tfjs-core': 'the tensor API that model, gradients and optimisers are written on',
  '@types/ndarray': 'the types of ndarray, which our declarations name',
  '@types/node': 'the types of Node, for cells',
  commander: 'the command line',
  marked: 'markdown cells in the HTML report',
  ndarray: 'the view of a volume in notebooks',
  'node-api-headers': 'the headers that native backends are built with, which not every Node comes with',
  'nifti-reader-js': 'NIfTI headers',
  numcodecs: 'blosc, which the prepared store is compressed with; WebAssembly, no install script',
  pdfkit: 'saved figures as PDF, with letters that can be searched',
  'plotly.js-dist-min': 'the figures, in JupyterLab and in the HTML report',
  tslab: 'the other engine of the kernel: converter and executor',
  typescript: 'the engine of the kernel: compiles cells, and its LanguageService knows their types',
  yaml: 'run configurations as files',
  zeromq: "Jupyter's sockets",
};

/** Installed by default, left out by `npm ci --omit=optional`; loaded when first asked for. */
const optional: Record<string, string> = {
  'danfojs-node': 'data frames in notebooks: groups, joins, tables of runs',
};

describe('dependencies', () => {
  it('are the chosen ones', () => {
    expect(Object.keys(manifest.dependencies).sort()).toEqual(Object.keys(chosen).sort());
    expect(Object.keys(manifest.optionalDependencies).sort()).toEqual(Object.keys(optional).sort());
  });

  it('are pinned exactly', () => {
    const all = { ...manifest.dependencies, ...manifest.optionalDependencies };
    for (const [name, version] of Object.entries(all)) expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
    for (const [name, replaced] of Object.entries(manifest.overrides['danfojs-node']!))
      expect(replaced, name).toMatch(/^npm:(@[\w-]+\/)?[\w-]+@\d+\.\d+\.\d+$/);
  });

  it('run no script at installation but zeromq, which finds its own binary', () => {
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { hasInstallScript?: boolean; dev?: boolean }>;
    };
    const scripts = Object.entries(lock.packages).filter(
      ([path, { hasInstallScript, dev }]) => path && hasInstallScript && !dev,
    );
    expect(scripts.map(([path]) => path)).toEqual(['node_modules/zeromq']);
  });

  it('are all that the sources import', () => {
    const imported = importedBy(({ file }) => !file.startsWith(BROWSER));
    const undeclared = imported.filter(
      (name) =>
        !name.startsWith('node:') &&
        !builtinModules.includes(name) &&
        !(name in chosen) &&
        !(name in optional) &&
        !name.startsWith('@tslab/') &&
        name !== 'patchwise',
    );
    expect(undeclared).toEqual([]);
  });

  it('do not have what the build puts into the files for browsers', () => {
    const bundled = importedBy(({ file }) => file.startsWith(BROWSER));
    expect(bundled.filter((name) => !(name in manifest.devDependencies))).toEqual([]);
    expect(bundled.filter((name) => name in manifest.dependencies)).toEqual([]);
  });
});

/** The packages that sources import. */
function importedBy(isMeant: (source: Source) => boolean): string[] {
  const specifiers = sources()
    .filter(isMeant)
    .flatMap(({ text }) => [
      ...text.matchAll(/\bfrom '([^.'][^']*)';$/gm),
      ...text.matchAll(/\b(?:import|require)\('([^.'][^']*)'\)/g),
    ]);
  return [...new Set(specifiers.map((match) => packageName(match[1]!)))];
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

interface Source {
  readonly file: string;
  readonly text: string;
}

function sources(): Source[] {
  return ['src', 'kernels'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => ({ file: join(folder, name), text: readFileSync(join(root, folder, name), 'utf8') })),
  );
}
