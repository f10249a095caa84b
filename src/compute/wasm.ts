/** The embedded backend: TensorFlow.js on WebAssembly, from npm alone, one thread, with our own 3D kernels. */
import { dirname, join, sep } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { registerKernels } from './kernels';
import { referenceKernels } from './reference';

/** Loads tfjs's wasm backend from its npm package and adds our kernels. */
export async function loadWasm(): Promise<void> {
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  const folder = dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'));
  wasm.setWasmPaths(join(folder, 'dist') + sep);
  registerKernels(
    'wasm',
    referenceKernels(() => tf.backend()),
  );
}
