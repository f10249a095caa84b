/** Finds what the addon is built from: libtorch, Node's headers and a C++ compiler. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { InvalidArgument, UnavailableBackend } from '../../errors';

const run = promisify(execFile);

export interface Libtorch {
  /** How it was found. */
  readonly from: string;
  readonly version: string;
  /** Folders of headers. */
  readonly includes: readonly string[];
  /** Folder of libtorch_cpu.so. */
  readonly libraries: string;
  /** Whether its strings are the C++11 ABI's; pip's torch was built without up to 2.5. */
  readonly cxx11: boolean;
  /** Whether it computes on NVIDIA GPUs. */
  readonly cuda: boolean;
}

/**
 * libtorch from the folder that is given, and else from LIBTORCH, the torch of PATCHWISE_PYTHON, .venv or python3, or
 * Debian's libtorch-dev.
 *
 * @throws InvalidArgument for a given folder without it; UnavailableBackend, with what to install, where there is none.
 */
export async function findLibtorch(folder?: string): Promise<Libtorch> {
  for (const [name, given] of [
    ['libtorch', folder],
    ['LIBTORCH', process.env.LIBTORCH],
  ] as const) {
    if (!given) continue;
    const found = inFolder(resolve(given), `${name} ${given}`);
    if (!found)
      throw new InvalidArgument(name, 'a folder with include/ATen and lib/libtorch_cpu.so in it', given);
    return found;
  }
  for (const python of [process.env.PATCHWISE_PYTHON, '.venv/bin/python', 'python3']) {
    if (!python) continue;
    const torch = await pythonTorch(python);
    const found = torch && inFolder(torch, `the torch of ${python}`);
    if (found) return found;
  }
  const debian = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib'].find((libraries) =>
    existsSync(join(libraries, 'libtorch_cpu.so')),
  );
  const found = debian && describe('/usr/include', debian, "Debian's libtorch-dev");
  if (found) return found;
  throw new UnavailableBackend(
    'libtorch',
    'libtorch is not on this machine',
    'Install PyTorch (`python3 -m venv .venv && .venv/bin/pip install torch`), or on Debian ' +
      '`sudo apt-get install libtorch-dev`, or unpack libtorch from https://pytorch.org and give --libtorch DIR; ' +
      'then `npx patchwise backend build libtorch`',
  );
}

async function pythonTorch(python: string): Promise<string | undefined> {
  // Found without importing it, which takes seconds.
  const script =
    'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")';
  return run(python, ['-c', script]).then(
    ({ stdout }) => stdout.trim() || undefined,
    () => undefined,
  );
}

function inFolder(folder: string, from: string): Libtorch | undefined {
  return describe(join(folder, 'include'), join(folder, 'lib'), from);
}

function describe(include: string, libraries: string, from: string): Libtorch | undefined {
  const api = join(include, 'torch', 'csrc', 'api', 'include');
  // Where the numbers are since torch 2.8, and where they were before.
  const headers = [join(include, 'torch', 'headeronly', 'version.h'), join(api, 'torch', 'version.h')];
  const header = headers.find((file) => existsSync(file));
  const core = join(libraries, 'libc10.so');
  if (!header || ![core, join(include, 'ATen', 'ATen.h')].every((file) => existsSync(file))) return undefined;
  const number = (part: string) =>
    readFileSync(header, 'utf8').match(new RegExp(`#define TORCH_VERSION_${part} (\\d+)`))?.[1];
  return {
    from,
    version: ['MAJOR', 'MINOR', 'PATCH'].map(number).join('.'),
    includes: [include, api],
    libraries,
    cxx11: readFileSync(core).includes('__cxx11'),
    cuda: existsSync(join(libraries, 'libtorch_cuda.so')),
  };
}

/** The folder of node_api.h that belongs to the Node that runs. */
export function findNodeHeaders(): string {
  const prefix = dirname(dirname(process.execPath));
  const version = process.versions.node;
  const places = [
    join(prefix, 'include', 'node'),
    '/usr/include/node',
    join(homedir(), '.cache', 'node-gyp', version, 'include', 'node'),
  ];
  const found = places.find((place) => existsSync(join(place, 'node_api.h')));
  if (found) return found;
  throw new UnavailableBackend(
    'libtorch',
    `Node's headers (node_api.h) are not in ${places.join(', ')}`,
    `Install the package with Node's headers (Debian: \`sudo apt-get install libnode-dev\`), or Node ${version} from ` +
      'https://nodejs.org, which brings them; then `npx patchwise backend build libtorch`',
  );
}

/** CXX where it is set, else g++ or clang++. */
export async function findCompiler(): Promise<string> {
  const names = process.env.CXX ? [process.env.CXX] : ['g++', 'clang++'];
  for (const name of names)
    if (
      await run(name, ['--version']).then(
        () => true,
        () => false,
      )
    )
      return name;
  throw new UnavailableBackend(
    'libtorch',
    `no C++ compiler answers (${names.join(', ')})`,
    'Install one (Debian: `sudo apt-get install g++`); then `npx patchwise backend build libtorch`',
  );
}
