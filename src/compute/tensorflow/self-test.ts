/** Run on a fresh build of tfjs-node: are the kernels right, and how fast are they. */
import * as tf from '@tensorflow/tfjs-core';
import { registerBackend } from '../contract/registry';
import { convolutionSpeed, printSelfTest, testKernels } from '../contract/self-test';
import { tensorflowBackend } from './backend';
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
  const backend = tensorflowBackend(folder, packageName);
  registerBackend(backend);
  tf.enableProdMode();
  await tf.setBackend('tensorflow');
  testKernels();
  const gigaflopsPerSecond = convolutionSpeed();
  const { version, threads, device } = backend;
  return { version, threads, gpu: device !== 'CPU', gigaflopsPerSecond };
}

if (require.main === module) {
  const [folder, packageName] = process.argv.slice(2) as [string, TensorflowRecord['package']];
  void printSelfTest(() => testTensorflow(folder, packageName));
}
