import type { GanConfig } from '../discriminators/config';
import {
  type DiscriminatorKind,
  discriminatorLayers,
  discriminatorWeights,
} from '../discriminators/discriminator';
import { sizeOf } from '../weights';
import { type Activation, bytesOf, type Habits, type Ledger } from './ledger';

/**
 * What a pass of the discriminators takes, on paper: layer by layer for the patch and its reconstruction,
 * then back for the generator's gradient and their own, of which patch and reconstruction have each a set. Left are the
 * gradients of their weights, those at the reconstruction, and a backend's copies of the weights.
 */
export function discriminatorPass(
  ledger: Ledger,
  gan: GanConfig,
  patches: Activation,
  { reorders }: Habits,
): void {
  const kinds = kindsOf(gan);
  const before = ledger.live;
  const weights = discriminatorBytes(gan);
  const reordered = reorders ? weights : 0;
  ledger.take(reordered);
  const outputs = kinds.map((kind) => outputsOf(kind, gan, patches));
  const depth = outputs[0]!.length;
  const sum = (layer: number) => outputs.reduce((bytes, all) => bytes + all[layer]!, 0);
  const largest = (layer: number) => Math.max(...outputs.map((all) => all[layer]!));
  for (let layer = 0; layer < depth; layer++) {
    const normed = gan.norm !== 'none' && layer > 0 && layer < depth - 1;
    // Of the patch and of its reconstruction; a norm keeps one more, and has three on their way.
    ledger.take(2 * sum(layer) * (normed ? 2 : 1));
    ledger.during(2 * sum(layer) + (normed ? 3 * largest(layer) : 0));
  }
  // The differences of all layers' outputs are the gradients of feature matching.
  for (let layer = 0; layer < depth - 1; layer++) ledger.take(sum(layer));
  const sweeps = gan.adaptive ? 4 : 3;
  for (let layer = depth - 1; layer >= 0; layer--) {
    const kernels = kinds.map((kind) => kernelBytes(kind, gan, layer));
    ledger.take(2 * kernels.reduce((bytes, kernel) => bytes + kernel, 0));
    const gradients = sweeps * (sum(layer) + sum(Math.max(0, layer - 1)));
    ledger.during(gradients + 4 * largest(layer) + (reorders ? 3 : 1) * Math.max(...kernels));
  }
  ledger.give(ledger.live - before - reordered - weights);
  ledger.take((gan.adaptive ? 2 : 1) * bytesOf(patches)); // what they say at the reconstruction
}

/** Bytes of all weights of the discriminators that a config has. */
export function discriminatorBytes(gan: GanConfig): number {
  const shapes = kindsOf(gan).flatMap((kind) => discriminatorWeights(kind, gan));
  return shapes.reduce((sum, { shape }) => sum + sizeOf(shape) * 4, 0);
}

function kindsOf(gan: GanConfig): DiscriminatorKind[] {
  return [...(gan.slice > 0 ? ['image' as const] : []), ...(gan.patch > 0 ? ['video' as const] : [])];
}

function kernelBytes(kind: DiscriminatorKind, gan: GanConfig, at: number): number {
  const { kernel, inputs, outputs } = discriminatorLayers(kind, gan)[at]!;
  return kernel[0] * kernel[1] * kernel[2] * inputs * outputs * 4;
}

/** Bytes of each layer's output for one batch. */
function outputsOf(kind: DiscriminatorKind, gan: GanConfig, { n, size }: Activation): number[] {
  let at = kind === 'image' ? [1, ...largestPlane(size)] : [...size];
  return discriminatorLayers(kind, gan).map(({ kernel, stride, padding, outputs }) => {
    at = at.map((length, axis) =>
      Math.max(1, Math.floor((length + 2 * padding[axis]! - kernel[axis]!) / stride[axis]!) + 1),
    );
    return at.reduce((product, length) => product * length, n * outputs * 4);
  });
}

function largestPlane(size: readonly number[]): number[] {
  return [...size].sort((a, b) => b - a).slice(0, 2);
}
