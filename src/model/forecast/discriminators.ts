import type { GanConfig } from '../discriminators/config';
import { type DiscriminatorKind, discriminatorLayers } from '../discriminators/discriminator';
import { type Activation, bytesOf, type Ledger } from './ledger';

/**
 * What the discriminators take while they judge a batch, on paper: layer by layer for the patch and its reconstruction,
 * then back for the generator's gradient and their own. All of it is given back but the gradients, which
 * the weights' forecast counts.
 */
export function judge(ledger: Ledger, gan: GanConfig, patches: Activation): void {
  const kinds: DiscriminatorKind[] = [];
  if (gan.slice > 0) kinds.push('image');
  if (gan.patch > 0) kinds.push('video');
  const before = ledger.live;
  const outputs = kinds.map((kind) => outputsOf(kind, gan, patches));
  const depth = Math.max(...outputs.map(({ length }) => length));
  const sum = (layer: number) => outputs.reduce((bytes, all) => bytes + (all[layer] ?? 0), 0);
  for (let layer = 0; layer < depth; layer++) {
    const normed = gan.norm !== 'none' && layer > 0 && layer < depth - 1;
    // Of the patch and of its reconstruction; a norm keeps one more, and has three on their way.
    ledger.take(2 * sum(layer) * (normed ? 2 : 1));
    ledger.during(2 * sum(layer) + (normed ? 3 * Math.max(...outputs.map((all) => all[layer]!)) : 0));
  }
  // The differences of all layers' outputs are the gradients of feature matching.
  for (let layer = 0; layer < depth - 1; layer++) ledger.take(sum(layer));
  const sweeps = gan.adaptive ? 4 : 3;
  for (let layer = depth - 1; layer >= 0; layer--) {
    const own = sweeps * sum(layer);
    ledger.during(
      own + 4 * Math.max(...outputs.map((all) => all[layer]!)) + sweeps * sum(Math.max(0, layer - 1)),
    );
  }
  ledger.give(ledger.live - before);
  ledger.take((gan.adaptive ? 2 : 1) * bytesOf(patches)); // what they say at the reconstruction
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
