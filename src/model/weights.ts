import * as tf from '@tensorflow/tfjs-core';
import { InvalidArgument } from '../errors';
import { Random } from '../random';
import type { StoredTensor } from '../safetensors';

/**
 * One trainable array. The name is the PyTorch module's (medicaldiffusion's `vq_gan_3d`); the shape is the layout
 * of `compute/ops`: `[kd, kh, kw, in, out]`, which is PyTorch's Conv3d weight with axes (2, 3, 4, 1, 0) and its
 * ConvTranspose3d weight with axes (2, 3, 4, 0, 1).
 */
export interface WeightShape {
  readonly name: string;
  readonly shape: readonly number[];
  /** A weight starts uniform within plus or minus this number, or as this constant. */
  readonly start: { readonly uniform: number } | { readonly constant: number };
}

/** The trainable weights by name, in construction order. */
export type Weights = ReadonlyMap<string, tf.Variable>;

/** Allocates weights; each draws from a random stream of its own name, so its start does not depend on others. */
export function createWeights(shapes: readonly WeightShape[], seed: number): Map<string, tf.Variable> {
  return new Map(
    shapes.map((spec) => {
      const start = tf.tensor(startValues(spec, seed), [...spec.shape]);
      // Unnamed: tfjs registers variable names globally, and two models may live in one process.
      const weight = tf.variable(start);
      start.dispose();
      return [spec.name, weight];
    }),
  );
}

/** Throws InvalidArgument unless every one of these arrays is there and has its shape. */
export function requireArrays(
  wanted: Iterable<readonly [name: string, { readonly shape: readonly number[] }]>,
  state: ReadonlyMap<string, StoredTensor>,
): void {
  for (const [name, { shape }] of wanted) {
    const found = state.get(name);
    if (!found || found.shape.join() !== shape.join() || found.data.length !== sizeOf(shape))
      throw new InvalidArgument(`state ${name}`, `an array of shape [${shape}]`, found?.shape ?? 'nothing');
  }
}

/** Takes values for weights. Throws InvalidArgument, and changes nothing, unless every array is there and fits. */
export function loadWeights(weights: Weights, state: ReadonlyMap<string, StoredTensor>): void {
  requireArrays(weights, state);
  for (const [name, weight] of weights) {
    const saved = tf.tensor(state.get(name)!.data.slice(), weight.shape);
    weight.assign(saved);
    saved.dispose();
  }
}

/** The values of weights by name. Copies. */
export function weightState(weights: Weights): Map<string, StoredTensor> {
  return new Map(
    [...weights].map(([name, weight]) => [
      name,
      { shape: weight.shape, data: weight.dataSync<'float32'>().slice() },
    ]),
  );
}

/** Elements of an array of this shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

function startValues({ name, shape, start }: WeightShape, seed: number): Float32Array {
  const values = new Float32Array(sizeOf(shape));
  if ('constant' in start) return values.fill(start.constant);
  const random = new Random(seed, 'weights', name);
  return values.map(() => (2 * random.next() - 1) * start.uniform);
}
