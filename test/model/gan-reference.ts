import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '../../src/model/config';
import type { GanConfig } from '../../src/model/discriminators/config';
import type { StoredTensor } from '../../src/safetensors';

/** Losses of one step by the names of `ObjectiveLosses`, and the norms before clipping. */
export type ReferenceStep = Readonly<Record<string, number>>;

/** What PyTorch computed from the specification in float64; made by fixtures/gan/generate.py. */
export interface GanReference {
  readonly config: ModelConfig;
  readonly rate: number;
  readonly clip: number;
  readonly seed: number;
  readonly variants: Readonly<
    Record<string, { readonly gan: GanConfig; readonly steps: readonly ReferenceStep[] }>
  >;
  readonly lpips: { readonly value: number };
  array(name: string): StoredTensor;
  /** All arrays under a name, by the rest of their names. */
  under(prefix: string): Map<string, StoredTensor>;
  batch(step: number): tf.Tensor5D;
}

export function readGanReference(): GanReference {
  const folder = join(__dirname, '../fixtures/gan');
  const { arrays, ...rest } = JSON.parse(readFileSync(join(folder, 'reference.json'), 'utf8')) as Omit<
    GanReference,
    'array'
  > & { arrays: { name: string; shape: number[]; offset: number }[] };
  const bytes = readFileSync(join(folder, 'reference.bin'));
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const at = ({ shape, offset }: { shape: number[]; offset: number }): StoredTensor => ({
    shape,
    data: values.slice(offset, offset + tf.util.sizeFromShape(shape)),
  });
  const array = (name: string) => at(arrays.find((entry) => entry.name === name)!);
  return {
    ...rest,
    array,
    under: (prefix) =>
      new Map(
        arrays
          .filter(({ name }) => name.startsWith(`${prefix}/`))
          .map((entry) => [entry.name.slice(prefix.length + 1), at(entry)]),
      ),
    batch(step) {
      const { data, shape } = array(`x/${step}`);
      return tf.tensor(data, [...shape]) as tf.Tensor as tf.Tensor5D;
    },
  };
}
