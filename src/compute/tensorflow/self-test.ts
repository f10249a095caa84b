/** Tests a fresh build of tfjs-node: are the kernels right, and how fast are they? */
import * as tf from '@tensorflow/tfjs-core';
import { registerBackend } from '../contract/registry';
import { convolutionSpeed, printSelfTest, testKernels } from '../contract/self-test';
import { tensorflowBackend } from './backend';
import type { TensorflowTest, TfjsNodePackage } from './built';

/** @throws Error saying what came out wrong. */
async function testTensorflow(folder: string, packageName: TfjsNodePackage): Promise<TensorflowTest> {
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
  const [folder, packageName] = process.argv.slice(2) as [string, TfjsNodePackage];
  void printSelfTest(() => testTensorflow(folder, packageName));
}
