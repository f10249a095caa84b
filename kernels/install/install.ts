/** Makes the kernel and its JupyterLab extension known to Jupyter: two folders under a `share/jupyter`. */
import { execFile } from 'node:child_process';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { makeFolder } from '../../src/make-folder';
import { nodeArguments, packageRoot } from '../../src/package';

const KERNEL_NAME = 'patchwise';

/** What compiles and runs cells; the first is the default. */
const ENGINES = ['typescript', 'tslab'] as const;
type EngineName = (typeof ENGINES)[number];

export interface InstallOptions {
  /** For the present user; the default. */
  readonly user?: boolean;
  /** Into the Python environment on the path (VIRTUAL_ENV, CONDA_PREFIX, else that of python3). */
  readonly sysPrefix?: boolean;
  /** Into `<prefix>/share/jupyter`. */
  readonly prefix?: string;
  /** What compiles and runs cells; `typescript` if not given. */
  readonly engine?: EngineName;
}

interface InstalledKernel {
  readonly name: string;
  readonly dir: string;
  readonly displayName: string;
  readonly argv: readonly string[];
}

/** Installs the kernelspec and the JupyterLab extension, replacing older ones. Returns the folders written. */
export async function installKernel(
  options: InstallOptions = {},
): Promise<{ kernel: string; extension?: string }> {
  const share = await shareFolder(options);
  const kernel = join(share, 'kernels', KERNEL_NAME);
  makeFolder(kernel);
  await writeFile(join(kernel, 'kernel.json'), `${JSON.stringify(kernelSpec(options.engine), null, 2)}\n`);

  const source = join(packageRoot(), 'kernels', 'labextension');
  const name = await extensionName();
  if (name === undefined) return { kernel };
  const extension = join(share, 'labextensions', name);
  await rm(extension, { recursive: true, force: true });
  await cp(source, extension, { recursive: true });
  // The extension draws with the Plotly of our dependencies, offline.
  await cp(require.resolve('plotly.js-dist-min/plotly.min.js'), join(extension, 'static', 'plotly.min.js'));
  return { kernel, extension };
}

/** Takes away what `installKernel` wrote under the same options. Returns the folders that were there. */
export async function uninstallKernel(options: InstallOptions = {}): Promise<string[]> {
  const share = await shareFolder(options);
  const extension = await extensionName();
  const folders = [join(share, 'kernels', KERNEL_NAME)];
  if (extension !== undefined) folders.push(join(share, 'labextensions', extension));
  const removed: string[] = [];
  for (const folder of folders) {
    if (!(await entriesOf(folder))) continue;
    await rm(folder, { recursive: true });
    removed.push(folder);
  }
  return removed;
}

/** Every kernelspec that Jupyter would find and that starts a Patchwise kernel, ours or another copy's. */
export async function listKernels(): Promise<InstalledKernel[]> {
  const found: InstalledKernel[] = [];
  for (const share of await jupyterPath()) {
    for (const name of (await entriesOf(join(share, 'kernels'))) ?? []) {
      const dir = join(share, 'kernels', name);
      const spec = await readSpec(join(dir, 'kernel.json'));
      if (spec?.metadata?.patchwise)
        found.push({ name, dir, displayName: spec.display_name, argv: spec.argv });
    }
  }
  return found;
}

interface KernelSpec {
  readonly argv: readonly string[];
  readonly display_name: string;
  readonly language: string;
  readonly interrupt_mode: 'message' | 'signal';
  readonly metadata?: { readonly patchwise?: string };
  readonly env?: Readonly<Record<string, string>>;
}

function kernelSpec(engine: EngineName = 'typescript'): KernelSpec {
  const root = packageRoot();
  return {
    argv: [process.execPath, ...nodeArguments(join(root, 'dist', 'kernels', 'main.js'), '{connection_file}')],
    display_name: 'Patchwise (TypeScript)',
    language: 'typescript',
    interrupt_mode: 'message',
    metadata: { patchwise: root },
    ...(engine === 'typescript' ? {} : { env: { PATCHWISE_ENGINE: engine } }),
  };
}

async function readSpec(path: string): Promise<KernelSpec | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as KernelSpec;
  } catch {
    return undefined; // no kernelspec, or not one that Jupyter would start
  }
}

async function shareFolder({ sysPrefix, prefix }: InstallOptions): Promise<string> {
  if (prefix !== undefined) return join(resolve(prefix), 'share', 'jupyter');
  if (sysPrefix) return join(await pythonPrefix(), 'share', 'jupyter');
  return userFolder();
}

/** Jupyter's data folder of the present user, as jupyter_core finds it. */
function userFolder(): string {
  if (process.env.JUPYTER_DATA_DIR) return process.env.JUPYTER_DATA_DIR;
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Jupyter');
  if (process.platform === 'win32') {
    return join(process.env.APPDATA ?? join(homedir(), 'AppData', 'Roaming'), 'jupyter');
  }
  return join(process.env.XDG_DATA_HOME ?? join(homedir(), '.local', 'share'), 'jupyter');
}

/** @throws Error where there is neither an active environment nor a python3. */
async function pythonPrefix(): Promise<string> {
  const active = process.env.VIRTUAL_ENV ?? process.env.CONDA_PREFIX;
  if (active) return active;
  const { stdout } = await promisify(execFile)('python3', ['-c', 'import sys; print(sys.prefix)']);
  return stdout.trim();
}

async function jupyterPath(): Promise<string[]> {
  const configured = (process.env.JUPYTER_PATH ?? '').split(delimiter).filter((path) => path !== '');
  const environment = await pythonPrefix().then(
    (prefix) => [join(prefix, 'share', 'jupyter')],
    () => [],
  );
  const system = process.platform === 'win32' ? [] : ['/usr/local/share/jupyter', '/usr/share/jupyter'];
  return [...new Set([...configured, userFolder(), ...environment, ...system])];
}

/** JupyterLab wants the extension's folder named as its package.json names it. */
async function extensionName(): Promise<string | undefined> {
  try {
    const text = await readFile(join(packageRoot(), 'kernels', 'labextension', 'package.json'), 'utf8');
    return (JSON.parse(text) as { name: string }).name;
  } catch {
    return undefined; // a package without the extension still has a kernel
  }
}

async function entriesOf(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(folder);
  } catch {
    return undefined;
  }
}
