/** Tests a fresh build of the libtorch addon: are its kernels right, and how fast is it? */
import * as tf from '@tensorflow/tfjs-core';
import { registerBackend } from '../contract/registry';
import { convolutionSpeed, printSelfTest, testKernels } from '../contract/self-test';
import { rankThreads } from '../machine/threads';
import { loadAddon } from './addon';
import { libtorchBackend } from './backend';
import type { SelfTest } from './built';

/** @throws Error saying what came out wrong. */
async function selfTest(path: string): Promise<SelfTest> {
  const addon = loadAddon(path);
  addon.threads(rankThreads());
  // A build whose CUDA part is broken must not pass.
  const cuda = addon.gpus() > 0 && process.env.PATCHWISE_DEVICE !== 'cpu';
  if (cuda) addon.useCuda(0);
  registerBackend(await libtorchBackend(addon));
  tf.enableProdMode();
  await tf.setBackend('libtorch');
  testKernels();
  const gigaflopsPerSecond = convolutionSpeed();
  const problem = addon.cudaProblem();
  return {
    ...{ version: addon.version, threads: addon.threads(0), cuda, gigaflopsPerSecond },
    ...(problem !== '' && { cudaProblem: problem }),
  };
}

if (require.main === module) void printSelfTest(() => selfTest(process.argv[2]!));
