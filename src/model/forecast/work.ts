import type { Vec3 } from '../../vec3';
import type { ModelConfig } from '../config';
import { type ConvolutionShape, generatorLayers } from './layers';
import type { Activation } from './ledger';

/**
 * Floating-point operations of a training step of the generator on `batch` patches [x, y, z]: its convolutions, forward
 * and for both gradients, a multiplication and an addition each. Not counted are norms, codes, the optimiser, and what
 * checkpointing computes again, so that operations per second compare how long steps take.
 */
export function stepWork(config: ModelConfig, patch: Vec3, batch = 1): number {
  const layers = generatorLayers(config, patch, batch, 'float32');
  const forward = layers.map((layer) => {
    if (layer.kind === 'convolution') return products(layer);
    if (layer.kind === 'block') return 2 * 27 * layer.x.channels ** 2 * voxels(layer.x);
    return 0;
  });
  // The patch's own gradient is not computed.
  return 2 * (3 * forward.reduce((sum, n) => sum + n) - forward[0]!);
}

function products({ x, y, kernel, transposed }: ConvolutionShape): number {
  return kernel[0] * kernel[1] * kernel[2] * x.channels * y.channels * voxels(transposed ? x : y);
}

function voxels({ n, size }: Activation): number {
  return n * size[0] * size[1] * size[2];
}
