import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '../../src/model/config';
import type { VqGan } from '../../src/model/vqgan';

/** What PyTorch computed from the specification in float64; made by fixtures/model/generate.py. */
export interface Reference {
  readonly config: ModelConfig;
  readonly rate: number;
  /** [total, reconstruction, commitment] of each step. */
  readonly losses: readonly (readonly [number, number, number])[];
  array(name: string): { readonly shape: number[]; readonly data: Float32Array };
}

export function readReference(): Reference {
  const folder = join(__dirname, '../fixtures/model');
  const { arrays, ...rest } = JSON.parse(readFileSync(join(folder, 'reference.json'), 'utf8')) as {
    config: ModelConfig;
    rate: number;
    losses: [number, number, number][];
    arrays: { name: string; shape: number[]; offset: number }[];
  };
  const bytes = readFileSync(join(folder, 'reference.bin'));
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  return {
    ...rest,
    array(name) {
      const { shape, offset } = arrays.find((entry) => entry.name === name)!;
      return { shape, data: values.slice(offset, offset + tf.util.sizeFromShape(shape)) };
    },
  };
}

/** The reference's weights and the codebook it starts from, as a state a model can load. */
export function referenceState(
  reference: Reference,
  model: VqGan,
): Map<string, { shape: number[]; data: Float32Array }> {
  const start = reference.array('codebook/start');
  const { codes } = reference.config;
  return new Map([
    ...[...model.weights.keys()].map((name) => [name, reference.array(`weights/${name}`)] as const),
    ['codebook.embeddings', start],
    ['codebook.N', { shape: [codes], data: new Float32Array(codes).fill(1) }],
    ['codebook.z_avg', start],
    ['codebook.initialised', { shape: [1], data: new Float32Array([1]) }],
  ]);
}

/** The reference's batch of a step, [n, d, h, w, 1]. */
export function referenceBatch(reference: Reference, step: number): tf.Tensor5D {
  const { data, shape } = reference.array(`x/${step}`);
  return tf.tensor<tf.Rank>(data, shape) as tf.Tensor5D;
}

/** Largest difference, relative to the largest reference value, or to `least` where that is more. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, least = 1e-12): number {
  let [difference, scale] = [0, least];
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference / scale;
}
