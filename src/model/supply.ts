import type { Vec3 } from '../vec3';
import type { ModelConfig } from './config';
import { averagesLatents } from './quantisers/registry';

/** Latents of a patch [x, y, z]. */
export function latentsOf(config: ModelConfig, patch: Vec3): number {
  return patch.reduce((latents, size, axis) => (latents * size) / config.downsample[axis]!, 1);
}

/**
 * What to know where a step of so many patches [x, y, z] has fewer latents than a learnt codebook has codes: most codes
 * then learn nothing in most steps. Undefined where it has enough.
 */
export function fewLatents(config: ModelConfig, patch: Vec3, patches: number): string | undefined {
  const latents = patches * latentsOf(config, patch);
  if (!averagesLatents(config) || config.codes <= latents) return undefined;
  return (
    `a step has ${latents.toLocaleString('en')} latents for ${config.codes.toLocaleString('en')} codes, so most codes ` +
    'learn nothing in most steps: take fewer (model.codes), or a larger patch or batch'
  );
}
