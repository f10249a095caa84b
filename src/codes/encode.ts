import { codeCount } from '../model/quantisers/registry';
import { latentsOf } from '../model/supply';
import type { LongCall } from '../progress';
import { passPatches } from '../reconstruct/model-threads';
import { type ModelSource, type PassOptions, patchesOf, planPass } from '../reconstruct/pass';
import type { Volume } from '../volume/volume';
import { wholeStorage } from '../volume/write';
import { Codes, codesArray, putPatch } from './codes';

export interface EncodeOptions extends LongCall, PassOptions {
  /** Keep the latents before quantisation too, `codeDim` floats for every code; default false. */
  readonly latents?: boolean;
}

/**
 * Encodes a volume to the codes of a trained model, patch by patch; `decode` makes the reconstruction of them. Needs
 * memory for the codes and the patches under way, beside the volume's.
 *
 * @throws InvalidArgument for a model without a checkpoint, or options that do not fit it; the signal's reason on abort
 */
export async function encode(
  model: ModelSource,
  volume: Volume,
  options: EncodeOptions = {},
): Promise<Codes> {
  const { config, grid, state, setup, view } = await planPass(model, volume, options);
  const { downsample, codes, codeDim, quantiser = 'ema' } = config.model;
  const codebooks = codeCount(config.model) / codes;
  const perPatch = latentsOf(config.model, grid.patch);
  const data = codesArray(grid.patches * perPatch * codebooks, codes);
  const latents = options.latents ? new Float32Array(grid.patches * perPatch * codeDim) : undefined;
  const work = { ...setup, work: 'encode', latents: options.latents } as const;
  const patches = passPatches(work, patchesOf(view ?? volume, grid), grid.patches, options);
  for await (const patch of patches) {
    putPatch(data, patch.index, patch.data, { codes, codebooks });
    latents?.set(patch.latents!, patch.index * perPatch * codeDim);
  }
  return new Codes({
    data,
    latents,
    patch: grid.patch,
    stride: grid.stride,
    geometry: {
      ...placeOf(volume),
      source: volume.source,
      stored: wholeStorage(volume.header),
      ...(view && { seen: placeOf(view) }),
    },
    intensity: setup.intensity,
    model: {
      checkpoint: setup.checkpoint,
      sha256: state.files['model.safetensors']!.sha256,
      use: setup.use,
      quantiser,
      codes,
      codebooks,
      downsample,
    },
  });
}

function placeOf({ shape, spacing, affine }: Volume) {
  return { shape, spacing, affine };
}
