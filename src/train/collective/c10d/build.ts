import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { includeArguments, linkArguments } from '../../../compute/libtorch/build';
import { findLibtorch, type Libtorch } from '../../../compute/libtorch/locate';
import {
  buildCommand,
  buildFolder,
  execute,
  findCompiler,
  install,
} from '../../../compute/machine/toolchain';
import { UnavailableBackend } from '../../../errors';
import type { LongCall } from '../../../progress';
import { type C10dRecord, c10dAddonPath, c10dKey, c10dSource } from './addon';

const run = promisify(execFile);

/**
 * Builds the collective through libtorch: with Gloo, and with NCCL if libtorch has CUDA and NCCL's headers are beside it.
 * Needs libtorch 2.1 or newer and a C++ compiler.
 * @throws UnavailableBackend saying what to install, or with what the compiler said
 */
export async function buildC10d(
  options: LongCall & { readonly libtorch?: string } = {},
): Promise<C10dRecord> {
  const { signal, onProgress } = options;
  const libtorch = await findLibtorch(options.libtorch);
  const [major, minor] = libtorch.version.split('.').map(Number) as [number, number];
  if (major < 2 || (major === 2 && minor < 1))
    throw missing(
      `libtorch ${libtorch.version} is older than 2.1`,
      'Install PyTorch (`python3 -m venv .venv && .venv/bin/pip install torch`)',
    );
  const headers = ncclHeaders(libtorch);
  const compiler = await findCompiler('libtorch');
  onProgress?.({ done: 0, total: 1, what: 'collective' });
  const record = await install(buildFolder('c10d'), async (work): Promise<C10dRecord> => {
    const compile = async (nccl: readonly string[]) => {
      const args = compilerArguments(libtorch, nccl, c10dAddonPath(work));
      await execute(compiler, args, { backend: 'libtorch', what: 'compiling c10d.cc', signal });
      // In a process of its own: an addon that crashes must not take its builder along.
      const load = `require(${JSON.stringify(c10dAddonPath(work))}).openStore`;
      await run(process.execPath, ['-e', load], { signal });
    };
    let ncclProblem =
      libtorch.cuda && headers.length === 0 ? 'nccl.h or cuda_runtime.h is missing' : undefined;
    // Without NCCL, ranks on GPUs still find one another, over Gloo.
    if (headers.length > 0)
      await compile(headers).catch((error: Error) => {
        signal?.throwIfAborted();
        ncclProblem = error.message;
      });
    const nccl = headers.length > 0 && ncclProblem === undefined;
    if (!nccl) await compile([]);
    const { version } = libtorch;
    return { libtorch: version, nccl, ncclProblem, key: c10dKey() };
  });
  onProgress?.({ done: 1, total: 1, what: 'collective' });
  return record;
}

function missing(problem: string, cure: string): UnavailableBackend {
  return new UnavailableBackend('c10d', problem, `${cure}; then \`${buildCommand('libtorch')}\``);
}

/** Folders of the headers of CUDA and NCCL that pip's wheels bring beside torch; none without CUDA. */
function ncclHeaders(libtorch: Libtorch): string[] {
  if (!libtorch.cuda) return [];
  const nvidia = join(libtorch.libraries, '..', '..', 'nvidia');
  const wheels = existsSync(nvidia) ? readdirSync(nvidia).map((name) => join(nvidia, name, 'include')) : [];
  const folders = [...wheels, '/usr/local/cuda/include', '/usr/include'].filter((dir) => existsSync(dir));
  const complete = ['nccl.h', 'cuda_runtime.h'].every((file) =>
    folders.some((folder) => existsSync(join(folder, file))),
  );
  return complete ? folders : [];
}

function compilerArguments(libtorch: Libtorch, nccl: readonly string[], out: string): string[] {
  return [
    ...'-std=c++20 -O2 -fPIC -shared -fvisibility=hidden -Wno-psabi -DUSE_C10D_GLOO'.split(' '),
    ...(nccl.length > 0 ? ['-DUSE_C10D_NCCL'] : []),
    // PyTorch's packages leave out Gloo's headers; `native/gloo` has those that torch's own include.
    ...includeArguments(libtorch, [...nccl, dirname(c10dSource())]),
    c10dSource(),
    '-o',
    out,
    ...linkArguments(libtorch, nccl.length > 0),
  ];
}
