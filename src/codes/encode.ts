import { codeCount } from '../model/quantisers/registry';
import { latentsOf } from '../model/supply';
import type { LongCall } from '../progress';
import { passPatches } from '../reconstruct/model-threads';
import { type ModelSource, type Pass, type PassOptions, patchesOf, planPass } from '../reconstruct/pass';
import type { Volume } from '../volume/volume';
import { Codes, type CodesGeometry, codesArray, putPatch } from './codes';

export interface EncodeOptions extends LongCall, PassOptions {
  /** Threads that encode patches; default: as many as backend, cores and memory allow, one on a GPU. */
  readonly workers?: number;
  /** Keep the latents before quantisation too, `codeDim` floats for every code; default false. */
  readonly latents?: boolean;
}

/** The codes of one patch. */
export interface EncodedPatch {
  readonly index: number;
  /** [z, y, x, codebooks], codebook b's numbers from b * codes on. */
  readonly codes: Float32Array;
  /** [z, y, x, codeDim], if they were asked for. */
  readonly latents?: Float32Array;
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
  const pass = await planPass(model, volume, options);
  const { config, grid, state, setup } = pass;
  const { downsample, codes, codeDim, quantiser = 'ema' } = config.model;
  const codebooks = codeCount(config.model) / codes;
  const perPatch = latentsOf(config.model, grid.patch);
  const data = codesArray(grid.patches * perPatch * codebooks, codes);
  const latents = options.latents ? new Float32Array(grid.patches * perPatch * codeDim) : undefined;
  for await (const patch of encodedPatches(pass, volume, options)) {
    putPatch(data, patch.index, patch.codes, { codes, codebooks });
    latents?.set(patch.latents!, patch.index * perPatch * codeDim);
  }
  return new Codes({
    data,
    latents,
    patch: grid.patch,
    stride: grid.stride,
    geometry: geometryOf(volume, pass),
    intensity: setup.intensity,
    model: {
      checkpoint: setup.checkpoint,
      sha256: state.files['model.safetensors']!.sha256,
      use: setup.use,
      ...{ quantiser, codes, codebooks, downsample },
    },
  });
}

/**
 * The same, one patch at a time in the grid's order. With `latents` the patches together need more memory than the volume.
 */
export async function* encodePatches(
  model: ModelSource,
  volume: Volume,
  options: EncodeOptions = {},
): AsyncGenerator<EncodedPatch> {
  yield* encodedPatches(await planPass(model, volume, options), volume, options);
}

async function* encodedPatches(
  { setup, grid, view }: Pass,
  volume: Volume,
  options: EncodeOptions,
): AsyncGenerator<EncodedPatch> {
  const work = { ...setup, work: 'encode', latents: options.latents } as const;
  const patches = passPatches(work, patchesOf(view ?? volume, grid), grid.patches, options);
  for await (const { index, data, latents } of patches) yield { index, codes: data, latents };
}

function geometryOf(volume: Volume, { view }: Pass): CodesGeometry {
  const place = ({ shape, spacing, affine }: Volume) => ({ shape, spacing, affine });
  return { ...place(volume), source: volume.source, ...(view && { seen: place(view) }) };
}
