/** The embedded backend: TensorFlow.js on WebAssembly, from npm alone, one thread, with our own 3D kernels. */
import { dirname, join, sep } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { registerKernels } from '../kernels';
import { referenceKernels } from '../reference';
import { simdConvolutions } from './convolution';
import { simdCodes, simdNorms } from './kernels';
import { SharedWasm } from './module';

/** Loads tfjs's wasm backend from its npm package, with our SIMD kernels on its memory. */
export async function loadWasm(): Promise<void> {
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  const folder = dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'));
  wasm.setWasmPaths(join(folder, 'dist') + sep);
  if (!(await tf.setBackend('wasm'))) throw new Error('tfjs could not initialise it');
  await tf.ready();
  shareClones();
  const shared = new SharedWasm(tf.backend());
  registerKernels('wasm', {
    ...referenceKernels(() => tf.backend()),
    ...shared.freeing({ ...simdConvolutions(shared), ...simdNorms(shared), ...simdCodes(shared) }),
  });
}

/**
 * tfjs's own kernel copies the data of every clone, and the tape clones whatever it keeps: activations would be in
 * memory twice. Like its Reshape, ours counts one owner more.
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
