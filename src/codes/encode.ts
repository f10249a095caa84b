import { decodePatches } from '../evaluate/decoder-pool';
import { type ModelSource, type Pass, type PassOptions, patchesOf, planPass } from '../evaluate/pass';
import { codeCount } from '../model/quantisers/registry';
import { latentsOf } from '../model/supply';
import type { LongCall } from '../progress';
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
  /** [z, y, x, codeDim] where they were asked for. */
  readonly latents?: Float32Array;
}

/**
 * A volume as the codes of a trained model, patch by patch: `decode` makes the reconstruction of them. Memory above
 * the volume's is that of the codes and of the patches under way.
 *
 * @throws InvalidArgument for a model without a checkpoint, or options that do not fit it; the signal's reason on abort
 */
export async function encode(
  model: ModelSource,
  volume: Volume,
  options: EncodeOptions = {},
): Promise<Codes> {
  const pass = await planPass(model, volume, options);
  const { config, grid, state } = pass;
  const { downsample, codes, codeDim, quantiser = 'ema' } = config.model;
  const codebooks = codeCount(config.model) / codes;
  const perPatch = latentsOf(config.model, grid.patch);
  const data = codesArray(grid.patches * perPatch * codebooks, codes);
  const latents = options.latents ? new Float32Array(grid.patches * perPatch * codeDim) : undefined;
  for await (const patch of encodedPatches(pass, options)) {
    putPatch(data, patch.index, patch.codes, { codes, codebooks });
    latents?.set(patch.latents!, patch.index * perPatch * codeDim);
  }
  return new Codes({
    data,
    latents,
    patch: grid.patch,
    stride: grid.stride,
    geometry: geometryOf(volume, pass),
    intensity: pass.intensity,
    model: {
      checkpoint: pass.checkpoint.dir,
      sha256: state.files['model.safetensors']!.sha256,
      use: pass.use,
      ...{ quantiser, codes, codebooks, downsample },
    },
  });
}

/**
 * The same, a patch at a time, for whoever has no room for all of them: with `latents` a volume's are larger than
 * itself. Patches come in the grid's order.
 */
export async function* encodePatches(
  model: ModelSource,
  volume: Volume,
  options: EncodeOptions = {},
): AsyncGenerator<EncodedPatch> {
  yield* encodedPatches(await planPass(model, volume, options), options);
}

async function* encodedPatches(pass: Pass, options: EncodeOptions): AsyncGenerator<EncodedPatch> {
  const { use, backend, intensity, grid, seen } = pass;
  const checkpoint = pass.checkpoint.dir;
  const setup = { work: 'encode', latents: options.latents, checkpoint, use, backend, intensity } as const;
  let done = 0;
  const patches = decodePatches({ ...setup, patch: grid.patch, mirror: [] }, patchesOf(seen, grid), options);
  for await (const { index, data, latents } of patches) {
    yield { index, codes: data, latents };
    options.onProgress?.({ done: ++done, total: grid.patches, what: 'patches' });
  }
}

function geometryOf(volume: Volume, { seen }: Pass): CodesGeometry {
  const place = ({ shape, spacing, affine }: Volume) => ({ shape, spacing, affine });
  return { ...place(volume), source: volume.source, ...(seen !== volume && { seen: place(seen) }) };
}
