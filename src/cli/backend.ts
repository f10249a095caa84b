import type { Command } from 'commander';
import { InvalidArgument, isPatchwiseError } from '../index';
import { buildC10d, buildLibtorch, buildTensorflow } from '../internal';
import { answer, interruptible } from './terminal';

export function addBackend(program: Command): void {
  const backend = program.command('backend').description('native tensor backends');
  backend
    .command('build')
    .description("build a native backend with this machine's compiler")
    .argument('<name>', 'libtorch or tensorflow')
    .option(
      '--libtorch <dir>',
      "libtorch: folder with its include and lib; else LIBTORCH, a Python's torch, Debian's",
    )
    .option(
      '--tensorflow <dir>',
      "tensorflow: a Python's tensorflow folder or the C library's; else TENSORFLOW, a Python's, the stock one",
    )
    .option(
      '--march <name>',
      "libtorch: processor to compile for, such as x86-64-v3 for all of a mixed cluster; else this machine's",
    )
    .option('--gpu', 'tensorflow: build tfjs-node-gpu, and fail where it sees no GPU')
    .option('--json', 'print one JSON value')
    .action(async (name: string, options: BuildFlags) => {
      if (name === 'libtorch') return libtorch(options);
      if (name === 'tensorflow') return tensorflow(options);
      throw new InvalidArgument('backend', 'one that can be built', name, ['libtorch', 'tensorflow']);
    });
}

interface BuildFlags {
  readonly libtorch?: string;
  readonly tensorflow?: string;
  readonly march?: string;
  readonly gpu?: boolean;
  readonly json?: boolean;
}

async function libtorch(options: BuildFlags): Promise<void> {
  if (options.gpu)
    throw new InvalidArgument('--gpu', 'no such option: libtorch takes a GPU where it has CUDA', true);
  const build = await buildLibtorch({
    ...interruptible('building'),
    libtorch: options.libtorch,
    march: options.march,
  });
  // Training on one host does not need it, so a failure here is only reported.
  const collective = await buildC10d({ libtorch: options.libtorch }).catch((error: unknown) => {
    if (!isPatchwiseError(error, 'UnavailableBackend')) throw error;
    return { missing: error.message };
  });
  answer(options.json, { ...build, collective }, () => [
    `libtorch ${build.libtorch} from ${build.from}, built in ${build.seconds.toFixed(0)} s`,
    works(build.test, build.test.cuda && 'on a GPU'),
    ...(build.cuda && build.test.cudaProblem
      ? [`WRONG: it has CUDA, and no GPU answers: ${build.test.cudaProblem}`]
      : []),
    'missing' in collective
      ? `collective for several hosts: ${collective.missing}`
      : `collective for several hosts: c10d with ${[collective.gloo && 'Gloo', collective.nccl && 'NCCL'].filter(Boolean).join(' and ')}${collective.ncclProblem ? `; not NCCL: ${collective.ncclProblem}` : ''}`,
    'Runs take it by themselves from now on; PATCHWISE_BACKEND=wasm goes back.',
  ]);
}

async function tensorflow(options: BuildFlags): Promise<void> {
  if (options.march)
    throw new InvalidArgument('--march', 'no such option: tensorflow is compiled already', options.march);
  const build = await buildTensorflow({
    ...interruptible('building'),
    tensorflow: options.tensorflow,
    gpu: options.gpu,
  });
  answer(options.json, build, () => [
    `${build.package} ${build.tfjsNode} on TensorFlow ${build.tensorflow} from ${build.from}, built in ${build.seconds.toFixed(0)} s`,
    works(build.test, build.test.gpu && 'GPU'),
    'Runs take it by themselves where libtorch is not built; PATCHWISE_BACKEND=tensorflow asks for it.',
  ]);
}

function works(test: { threads: number; gigaflopsPerSecond: number }, device: string | false): string {
  const speed = `${test.gigaflopsPerSecond} GFLOP/s in a 3D convolution`;
  return [`works: ${test.threads} thread(s)`, speed, ...(device ? [device] : [])].join(', ');
}
