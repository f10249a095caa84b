/** Tests a fresh build of the libtorch addon, whose path is the argument. */
import { printSelfTest } from '../contract/self-test';
import { idleGpus } from '../machine/gpus';
import { rankThreads } from '../machine/threads';
import { loadAddon } from './addon';
import { libtorchBackend } from './backend';

void printSelfTest(async () => {
  const addon = loadAddon(process.argv[2]!);
  addon.threads(rankThreads());
  // A build whose CUDA part is broken must not pass.
  const cuda = addon.gpus() > 0 && process.env.PATCHWISE_DEVICE !== 'cpu';
  if (cuda) addon.useCuda(0);
  const problem = addon.cudaProblem();
  const warning = cuda
    ? undefined
    : idleGpus(`libtorch sees none (${problem}). \`npx patchwise doctor\` says what helps`);
  return {
    backend: await libtorchBackend(addon, cuda ? 'CUDA:0' : 'CPU'),
    found: { cuda, cudaProblem: problem || undefined, warning },
  };
});
