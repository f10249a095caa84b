import type { Command } from 'commander';
import { buildLibtorch, InvalidArgument } from '../index';
import { answer, interruptible } from './terminal';

export function addBackend(program: Command): void {
  const backend = program.command('backend').description('native tensor backends');
  backend
    .command('build')
    .description("build a native backend with this machine's compiler")
    .argument('<name>', 'libtorch')
    .option(
      '--libtorch <dir>',
      "folder with libtorch's include and lib; else LIBTORCH, a Python's torch, Debian's",
    )
    .option('--json', 'print one JSON value')
    .action(async (name: string, options: { libtorch?: string; json?: boolean }) => {
      if (name !== 'libtorch')
        throw new InvalidArgument('backend', 'one that can be built', name, ['libtorch']);
      const build = await buildLibtorch({ ...interruptible('building'), libtorch: options.libtorch });
      answer(options.json, build, () => [
        `libtorch ${build.libtorch} from ${build.from}, built in ${build.seconds.toFixed(0)} s`,
        `works: ${build.test.threads} thread(s), ${build.test.gigaflopsPerSecond} GFLOP/s in a 3D convolution` +
          (build.test.cuda ? ', CUDA' : ''),
        'Runs take it by themselves from now on; PATCHWISE_BACKEND=wasm goes back.',
      ]);
    });
}
