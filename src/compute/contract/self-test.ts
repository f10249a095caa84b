/** What a freshly built backend must compute right before it is installed: our kernels, against plain loops. */
import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from './backend';
import { outputShape, planConvolution } from './geometry';
import { referenceKernels } from './reference';
import { registerBackend, runKernel } from './registry';

/** Compares the current backend with plain loops. @throws Error saying what came out wrong. */
function testKernels(): void {
  const reference = referenceKernels(() => tf.backend());
  for (const transposed of [false, true])
    tf.tidy(() => {
      const [x, w, bias] = [wave([1, 4, 6, 8, 5]), wave([4, 4, 4, 5, 3]), wave([3])];
      const plan = planConvolution(x.shape, w.shape, transposed, { stride: 2 });
      const dy = wave(outputShape(plan));
      const what = transposed ? 'a transposed convolution' : 'a convolution';
      compare(what, runKernel('convolve', { x, w, bias }, plan), reference.convolve(x, w, bias, plan));
      const dx = runKernel('convolveInputGradient', { dy, w }, plan);
      compare(`the input gradient of ${what}`, dx, reference.convolveInputGradient(dy, w, plan));
      const dw = runKernel('convolveWeightGradient', { x, dy }, plan);
      compare(`the weight gradient of ${what}`, dw, reference.convolveWeightGradient(x, dy, plan));
    });
  tf.tidy(() => {
    const [x, gamma, beta] = [wave([2, 2, 3, 4, 6]), wave([6]), wave([6])];
    const norm = { groups: 3, eps: 1e-6, silu: true };
    const [y] = runKernel('groupNorm', { x, gamma, beta }, norm);
    compare('a group norm', y!, reference.groupNorm(x, gamma, beta, norm)[0]!);
  });
}

/** GFLOP/s of a 3x3x3 convolution of 32 channels on 64 x 64 x 32 voxels, the best of four. */
function convolutionSpeed(): number {
  const [x, w] = [wave([1, 32, 64, 64, 32]), wave([3, 3, 3, 32, 32])];
  const plan = planConvolution(x.shape, w.shape, false);
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4; i++) {
    const start = performance.now();
    const y = runKernel('convolve', { x, w }, plan);
    // A GPU has surely finished only when a value has come back.
    tf.tidy(() => tf.slice(y, [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]).dataSync());
    y.dispose();
    best = Math.min(best, performance.now() - start);
  }
  tf.dispose([x, w]);
  return Math.round((2 * 32 * 64 * 64 * 27 * 32 * 32) / best / 1e6);
}

export interface SelfTest {
  readonly version: string;
  readonly threads: number;
  /** Of a 3x3x3 convolution of 32 channels on 64 x 64 x 32 voxels. */
  readonly gigaflopsPerSecond: number;
}

/** Tests a freshly built backend, and prints a `SelfTest` and `found` as JSON, or what came out wrong. */
export async function printSelfTest(
  load: () => Promise<{ readonly backend: Backend; readonly found: object }>,
): Promise<void> {
  try {
    const { backend, found } = await load();
    registerBackend(backend);
    tf.enableProdMode();
    await tf.setBackend(backend.name);
    testKernels();
    const { version, threads } = backend;
    const test: SelfTest = { version, threads, gigaflopsPerSecond: convolutionSpeed() };
    console.log(JSON.stringify({ ...test, ...found }));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}

function wave(shape: readonly number[]): tf.Tensor {
  const size = tf.util.sizeFromShape([...shape]);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, i) => Math.sin(i * 0.7)),
    [...shape],
  );
}

function compare(what: string, ours: tf.Tensor, expected: tf.TensorInfo): void {
  const right = tf.backend().readSync(expected.dataId) as Float32Array;
  const worst = ours
    .dataSync<'float32'>()
    .reduce((most, value, i) => Math.max(most, Math.abs(value - right[i]!)), 0);
  if (!(worst < 1e-3)) throw new Error(`${what} is off by ${worst}`);
}
