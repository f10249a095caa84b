/** Run on a fresh build of the libtorch addon: are its kernels right, and how fast is it. */
import * as tf from '@tensorflow/tfjs-core';
import { registerKernels } from '../kernels';
import { convolutionSpeed, printSelfTest, testKernels } from '../self-test';
import { rankThreads } from '../threads';
import { loadAddon } from './addon';
import { libtorchKernels } from './patchwise-kernels';
import { registerStockKernels } from './stock-kernels';
import { LibtorchTensors } from './tensors';

export interface SelfTest {
  readonly version: string;
  readonly threads: number;
  readonly cuda: boolean;
  /** Of a 3x3x3 convolution of 32 channels on 64 x 64 x 32 voxels. */
  readonly gigaflopsPerSecond: number;
}

/** @throws Error saying what came out wrong. */
export async function selfTest(path: string): Promise<SelfTest> {
  const addon = loadAddon(path);
  addon.threads(rankThreads());
  const tensors = new LibtorchTensors(addon);
  tf.registerBackend('libtorch', () => tensors);
  await registerStockKernels('libtorch', tensors);
  registerKernels('libtorch', libtorchKernels(tensors));
  tf.enableProdMode();
  await tf.setBackend('libtorch');
  testKernels();
  const gigaflopsPerSecond = convolutionSpeed();
  return { version: addon.version, threads: addon.threads(0), cuda: addon.gpus() > 0, gigaflopsPerSecond };
}

if (require.main === module) void printSelfTest(() => selfTest(process.argv[2]!));
