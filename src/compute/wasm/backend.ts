/** The embedded backend: TensorFlow.js on WebAssembly, from npm alone, one thread, with our own 3D kernels. */
import { dirname, join, sep } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from '../contract/backend';
import { simdConvolutions } from './convolution';
import { simdKernels } from './kernels';
import { SharedWasm } from './module';

/** Loads tfjs's wasm backend from its npm package, with our SIMD kernels on its memory. */
export async function loadWasm(): Promise<Backend> {
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  const folder = dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'));
  wasm.setWasmPaths(join(folder, 'dist') + sep);
  if (!(await tf.setBackend('wasm'))) throw new Error('tfjs could not initialise it');
  await tf.ready();
  shareClones();
  const shared = new SharedWasm(tf.backend());
  const simd = { ...simdConvolutions(shared), ...simdKernels(shared) };
  return {
    name: 'wasm',
    device: 'CPU',
    threads: 1,
    version: `tfjs ${tf.version_core}`,
    precisions: ['float32'],
    kernels: shared.freeing(simd),
  };
}

/**
 * tfjs's own kernel copies the data of every clone, and the tape clones whatever it keeps: activations would be in
 * memory twice. Ours adds an owner, as tfjs's Reshape does.
 */
function shareClones(): void {
  tf.unregisterKernel('Identity', 'wasm');
  tf.registerKernel({
    kernelName: 'Identity',
    backendName: 'wasm',
    kernelFunc: ({ inputs, backend }) => {
      const { dataId, shape, dtype } = inputs.x as tf.TensorInfo;
      (backend as tf.KernelBackend).incRef(dataId);
      return { dataId, shape, dtype };
    },
  });
}
