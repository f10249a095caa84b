/** tfjs in JavaScript with our kernels as plain loops: slow, on every machine, for tests. */
import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from '../contract/backend';
import { referenceKernels } from '../contract/reference';

export async function loadCpu(): Promise<Backend> {
  await import('@tensorflow/tfjs-backend-cpu');
  return {
    name: 'cpu',
    device: 'CPU',
    threads: 1,
    version: `tfjs ${tf.version_core}`,
    precisions: ['float32'],
    kernels: referenceKernels(() => tf.backend()),
  };
}
