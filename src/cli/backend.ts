import type { Command } from 'commander';
import { InvalidArgument, isPatchwiseError } from '../index';
import { buildC10d, buildLibtorch, buildTensorflow } from '../internal';
import { type Answer, addCommand } from './command';
import { interruptible } from './terminal';

type BuildFlags = NonNullable<Parameters<typeof buildLibtorch>[0] & Parameters<typeof buildTensorflow>[0]>;

export function addBackend(program: Command): void {
  addCommand(program.command('backend').description('native tensor backends'), 'build', {
    does: "build a native backend with this machine's compiler",
    takes: `
      <name>              which backend
      --libtorch <dir>    libtorch: folder with its include and lib; else LIBTORCH, a Python's torch, Debian's
      --tensorflow <dir>  tensorflow: a Python's tensorflow folder or the C library's; else TENSORFLOW, a Python's,
                          the stock one
      --march <name>      libtorch: processor to compile for, such as x86-64-v3 for all of a mixed cluster; else this
                          machine's
      --gpu               tensorflow: build tfjs-node-gpu, and fail where it sees no GPU`,
    reads: { name: ['libtorch', 'tensorflow'] },
    answers: async (name: string, options: BuildFlags) =>
      name === 'libtorch' ? libtorch(options) : tensorflow(options),
  });
}

async function libtorch({ libtorch, march, gpu }: BuildFlags): Promise<Answer> {
  if (gpu) throw new InvalidArgument('--gpu', 'no such option: libtorch takes a GPU where it has CUDA', true);
  const build = await buildLibtorch({ ...interruptible('building'), libtorch, march });
  // Training on one host does not need it, so a failure here is only reported.
  const collective = await buildC10d({ libtorch }).catch((error: unknown) => {
    if (!isPatchwiseError(error, 'UnavailableBackend')) throw error;
    return { missing: error.message };
  });
  const { test } = build;
  const lines = [
    `libtorch ${build.libtorch} from ${build.from}, built in ${build.seconds.toFixed(0)} s`,
    works(test, test.cuda && 'on a GPU'),
    `collective for several hosts: ${'missing' in collective ? collective.missing : partsOf(collective)}`,
    'Runs take it by themselves from now on; PATCHWISE_BACKEND=wasm goes back.',
  ];
  const problem = build.cuda && test.cudaProblem && `it has CUDA, and no GPU answers: ${test.cudaProblem}`;
  const warning = test.warning ?? problem;
  if (warning) lines.splice(2, 0, `WRONG: ${warning}`);
  return [{ ...build, collective }, lines];
}

/** What a built collective has, and what is wrong with the rest. */
function partsOf({ nccl, ncclProblem }: Awaited<ReturnType<typeof buildC10d>>): string {
  return `c10d with Gloo${nccl ? ' and NCCL' : ''}${ncclProblem ? `; not NCCL: ${ncclProblem}` : ''}`;
}

async function tensorflow({ tensorflow, march, gpu }: BuildFlags): Promise<Answer> {
  if (march) throw new InvalidArgument('--march', 'no such option: tensorflow is compiled already', march);
  const build = await buildTensorflow({ ...interruptible('building'), tensorflow, gpu });
  const parts = `${build.package} ${build.tfjsNode} on TensorFlow ${build.tensorflow} from ${build.from}`;
  return [
    build,
    [
      `${parts}, built in ${build.seconds.toFixed(0)} s`,
      works(build.test, build.test.gpu && 'GPU'),
      'Runs take it by themselves where libtorch is not built; PATCHWISE_BACKEND=tensorflow asks for it.',
    ],
  ];
}

function works(test: { threads: number; gigaflopsPerSecond: number }, device: string | false): string {
  const speed = `${test.gigaflopsPerSecond} GFLOP/s in a 3D convolution`;
  return [`works: ${test.threads} thread(s)`, speed, ...(device ? [device] : [])].join(', ');
}
