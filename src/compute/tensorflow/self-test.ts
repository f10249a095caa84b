/** Run on a fresh build of tfjs-node: are the kernels right, and how fast are they. */
import * as tf from '@tensorflow/tfjs-core';
import { convolutionSpeed, printSelfTest, testKernels } from '../self-test';
import { registerTensorflow } from './backend';
import type { TensorflowRecord } from './built';

export interface TensorflowTest {
  readonly version: string;
  readonly threads: number;
  readonly gpu: boolean;
  /** Of a 3x3x3 convolution of 32 channels on 64 x 64 x 32 voxels. */
  readonly gigaflopsPerSecond: number;
}

/** @throws Error saying what came out wrong. */
export async function testTensorflow(
  folder: string,
  packageName: TensorflowRecord['package'],
): Promise<TensorflowTest> {
  const { binding, threads } = registerTensorflow(folder, packageName);
  tf.enableProdMode();
  await tf.setBackend('tensorflow');
  testKernels();
  const gigaflopsPerSecond = convolutionSpeed();
  return { version: binding.TF_Version, threads, gpu: binding.isUsingGpuDevice(), gigaflopsPerSecond };
}

if (require.main === module) {
  const [folder, packageName] = process.argv.slice(2) as [string, TensorflowRecord['package']];
  void printSelfTest(() => testTensorflow(folder, packageName));
}
