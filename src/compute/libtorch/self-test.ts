/** Run on a fresh build: computes a convolution and its gradients against plain loops and times a large one. */
import * as tf from '@tensorflow/tfjs-core';
import { planConvolution } from '../geometry';
import type { Kernels } from '../kernels';
import { referenceKernels } from '../reference';
import { loadAddon } from './addon';
import { libtorchKernels } from './patchwise-kernels';
import { LibtorchTensors } from './tensors';

export interface SelfTest {
  readonly version: string;
  readonly threads: number;
  readonly cuda: boolean;
  /** Of a 3x3x3 convolution of 32 channels on 64 x 64 x 32 voxels. */
  readonly gigaflopsPerSecond: number;
}

/** @throws Error saying what came out wrong. */
export function selfTest(path: string): SelfTest {
  const addon = loadAddon(path);
  const tensors = new LibtorchTensors(addon);
  tf.registerBackend('libtorch', () => tensors);
  const kernels = libtorchKernels(tensors);
  const plain = referenceKernels(() => tensors);
  const make = (shape: number[]): tf.TensorInfo => {
    const size = shape.reduce((product, n) => product * n, 1);
    const values = Float32Array.from({ length: size }, (_, i) => Math.sin(i * 0.7));
    return { dataId: tensors.write(values, shape, 'float32'), shape, dtype: 'float32' };
  };
  const compare = (what: string, run: (kernels: Kernels) => tf.TensorInfo): void => {
    const [ours, expected] = [kernels, plain].map(
      (which) => tensors.readSync(run(which).dataId) as Float32Array,
    );
    const worst = expected!.reduce((most, value, i) => Math.max(most, Math.abs(value - ours![i]!)), 0);
    if (!(worst < 1e-3)) throw new Error(`${what} is off by ${worst}`);
  };
  for (const transposed of [false, true]) {
    const [x, w] = [make([1, 4, 6, 8, 5]), make([4, 4, 4, 5, 3])];
    const plan = planConvolution(x.shape, w.shape, transposed, { stride: 2 });
    const dy = kernels.convolve(x, w, undefined, plan);
    compare('a convolution', (k) => k.convolve(x, w, undefined, plan));
    compare("a convolution's input gradient", (k) => k.convolveInputGradient(dy, w, plan));
    compare("a convolution's weight gradient", (k) => k.convolveWeightGradient(x, dy, plan));
  }
  return {
    version: addon.version,
    threads: addon.threads(0),
    cuda: addon.hasCuda(),
    gigaflopsPerSecond: Math.round(speed(kernels, tensors, make)),
  };
}

function speed(kernels: Kernels, tensors: LibtorchTensors, make: (shape: number[]) => tf.TensorInfo): number {
  const [x, w] = [make([1, 32, 64, 64, 32]), make([3, 3, 3, 32, 32])];
  const plan = planConvolution(x.shape, w.shape, false);
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4; i++) {
    const start = performance.now();
    tensors.disposeData(kernels.convolve(x, w, undefined, plan).dataId);
    best = Math.min(best, performance.now() - start);
  }
  return (2 * 32 * 64 * 64 * 27 * 32 * 32) / best / 1e6;
}

if (require.main === module) {
  try {
    console.log(JSON.stringify(selfTest(process.argv[2]!)));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
