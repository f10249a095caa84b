/**
 * Makes the kernel and its JupyterLab extension known to Jupyter: two folders under a `share/jupyter`. Finds JupyterLab
 * and starts it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { makeFolder } from '../src/make-folder';
import { compiledFile, nodeArguments, packageRoot } from '../src/package';

const KERNEL_NAME = 'patchwise';
const EXTENSION = join(packageRoot(), 'kernels', 'labextension');
const run = promisify(execFile);

/** What compiles and runs cells. */
type EngineName = 'typescript' | 'tslab';

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

/** Installs the kernelspec and the JupyterLab extension, replacing older ones. Returns the folders written. */
export async function installKernel(
  options: InstallOptions = {},
): Promise<{ kernel: string; extension?: string }> {
  const share = await shareFolder(options);
  const kernel = join(share, 'kernels', KERNEL_NAME);
  makeFolder(kernel);
  await writeFile(join(kernel, 'kernel.json'), `${JSON.stringify(kernelSpec(options.engine), null, 2)}\n`);

  const name = await extensionName();
  if (name === undefined) return { kernel };
  const extension = join(share, 'labextensions', name);
  await rm(extension, { recursive: true, force: true });
  await writeExtension(extension);
  return { kernel, extension };
}

/**
 * Writes JupyterLab's extension. JupyterLab lets browsers keep its files, so the scripts lie in a folder that is named
 * after their content: after an update no page runs an old one.
 */
async function writeExtension(folder: string): Promise<void> {
  const scripts = [
    compiledFile('kernels', 'browser', 'remoteEntry.js'),
    compiledFile('kernels', 'browser', 'viewer.js'),
    require.resolve('plotly.js-dist-min/plotly.min.js'), // of our dependencies: nothing comes from the network
  ];
  const hash = createHash('sha256');
  for (const script of scripts) hash.update(await readFile(script));
  const version = hash.digest('hex').slice(0, 16);
  makeFolder(join(folder, 'static', version));
  for (const script of scripts) await cp(script, join(folder, 'static', version, basename(script)));
  const manifest = JSON.parse(await readFile(join(EXTENSION, 'package.json'), 'utf8')) as ExtensionManifest;
  manifest.jupyterlab._build.load = `static/${version}/remoteEntry.js`;
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** `package.json` of a JupyterLab extension: `load` is the script that JupyterLab runs first. */
interface ExtensionManifest {
  readonly jupyterlab: { readonly _build: { load: string } };
}

/** Takes away what `installKernel` wrote under the same options. Returns the folders that were there. */
export async function uninstallKernel(options: InstallOptions = {}): Promise<string[]> {
  const share = await shareFolder(options);
  const extension = await extensionName();
  const folders = [join(share, 'kernels', KERNEL_NAME)];
  if (extension !== undefined) folders.push(join(share, 'labextensions', extension));
  const removed: string[] = [];
  for (const folder of folders) {
    const found = await stat(folder).catch(() => undefined);
    if (!found?.isDirectory()) continue;
    await rm(folder, { recursive: true });
    removed.push(folder);
  }
  return removed;
}

/** Every kernelspec that Jupyter would find and that starts a Patchwise kernel, ours or another copy's. */
export async function listKernels() {
  const found: { name: string; dir: string; displayName: string; argv: readonly string[] }[] = [];
  for (const share of await jupyterPath()) {
    for (const name of await readdir(join(share, 'kernels')).catch(() => [])) {
      const dir = join(share, 'kernels', name);
      const spec = await readJson<KernelSpec>(join(dir, 'kernel.json'));
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

/** Undefined if there is no such file, or it is not JSON. */
async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return undefined;
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
  const { stdout } = await run('python3', ['-c', 'import sys; print(sys.prefix)']);
  return stdout.trim();
}

async function jupyterPath(): Promise<string[]> {
  const configured = (process.env.JUPYTER_PATH ?? '').split(delimiter).filter((path) => path !== '');
  const environment = await shareFolder({ sysPrefix: true }).then(
    (folder) => [folder],
    () => [],
  );
  const system = process.platform === 'win32' ? [] : ['/usr/local/share/jupyter', '/usr/share/jupyter'];
  return [...new Set([...configured, userFolder(), ...environment, ...system])];
}

/** JupyterLab wants the extension's folder named as its package.json names it. A package without it still has a kernel. */
async function extensionName(): Promise<string | undefined> {
  return (await readJson<{ name: string }>(join(EXTENSION, 'package.json')))?.name;
}

interface Lab {
  readonly command: readonly string[];
  readonly version: string;
}

/** What `patchwise lab` prints if it finds no JupyterLab. */
export const HOW_TO_GET_LAB = [
  'JupyterLab is not here. To get it, beside this project:',
  '  python3 -m venv .venv',
  '  .venv/bin/pip install jupyterlab',
  'then run `npx patchwise lab` again. (PATCHWISE_PYTHON names another Python that has it.)',
];

/** The first JupyterLab of PATCHWISE_PYTHON, .venv/bin/python, python3 and the path. */
export async function findLab(): Promise<Lab | undefined> {
  const pythons = [process.env.PATCHWISE_PYTHON, '.venv/bin/python', 'python3'].filter((python) => python);
  const commands = [...pythons.map((python) => [python!, '-m', 'jupyterlab']), ['jupyter-lab']];
  for (const command of commands) {
    const [program, ...args] = command;
    const found = await run(program!, [...args, '--version']).catch(() => undefined);
    if (found) return { command, version: found.stdout.trim() };
  }
  return undefined;
}

/** Starts JupyterLab in the terminal that we have. The kernel is installed for this user if Jupyter finds none of ours. */
export async function startLab({ command }: Lab, args: readonly string[]): Promise<ChildProcess> {
  if ((await listKernels()).length === 0) await installKernel();
  const [program, ...first] = command;
  return spawn(program!, [...first, ...args], { stdio: 'inherit' });
}
