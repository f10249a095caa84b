import { InvalidArgument } from '../errors';
import { decodePatches } from '../evaluate/decoder-pool';
import { chooseCheckpoint, type ModelSource } from '../evaluate/pass';
import { blendPatches, type Patch } from '../patch/blend';
import { blendToFile } from '../patch/blend-file';
import type { WindowName } from '../patch/windows';
import type { LongCall } from '../progress';
import { readState } from '../train/record/checkpoint';
import { resampleVolume } from '../volume/view';
import { Volume } from '../volume/volume';
import { type WriteOptions, writeVolume } from '../volume/write';
import type { Codes } from './codes';

export interface DecodeOptions extends LongCall {
  /** The model the codes are of; default: the checkpoint they were made with, where it was then. */
  readonly model?: ModelSource;
  /** How patches are blended; default `gaussian`. */
  readonly window?: WindowName;
  /** Default: the one the run was trained with. */
  readonly backend?: string;
  /** Threads that decode patches; default: as many as backend, cores and memory allow, one on a GPU. */
  readonly workers?: number;
}

/**
 * The volume of codes: what `reconstruct` makes of the volume they were encoded from.
 * @throws InvalidArgument where the model is gone, or another than that of the codes; the signal's reason on abort
 */
export async function decode(codes: Codes, options: DecodeOptions = {}): Promise<Volume> {
  const { window = 'gaussian', signal } = options;
  const blended = await blendPatches(codes.grid, await decodedPatches(codes, options), { window, signal });
  return placed(codes, blended, window);
}

/** The same, written slab by slab as NIfTI without holding the output. Errors are those of `decode` and `writeVolume`. */
export async function decodeToFile(
  codes: Codes,
  path: string,
  options: DecodeOptions & Pick<WriteOptions, 'dtype'> = {},
): Promise<void> {
  const { window = 'gaussian', signal, dtype } = options;
  if (codes.geometry.seen) await writeVolume(path, await decode(codes, options), { dtype, signal });
  else {
    const { shape, spacing, affine } = codes.geometry;
    const like = { shape, spacing, affine };
    await blendToFile(codes.grid, await decodedPatches(codes, options), path, {
      window,
      signal,
      dtype,
      like,
    });
  }
}

/** Sends the codes of the patches through the decoder as they are asked for. */
async function decodedPatches(codes: Codes, options: DecodeOptions): Promise<AsyncGenerator<Patch>> {
  const checkpoint = await modelOf(codes, options.model);
  const { grid, intensity } = codes;
  const backend = options.backend ?? readState(checkpoint).config.backend;
  const { use } = codes.model;
  const setup = {
    work: 'decode',
    checkpoint,
    use,
    backend,
    intensity,
    patch: grid.patch,
    mirror: [],
  } as const;
  const patches = function* () {
    for (let index = 0; index < grid.patches; index++) yield { index, data: codes.ofPatch(index) };
  };
  const decoded = async function* () {
    let done = 0;
    for await (const patch of decodePatches(setup, patches(), options)) {
      yield patch;
      options.onProgress?.({ done: ++done, total: grid.patches, what: 'patches' });
    }
  };
  return decoded();
}

/** The checkpoint's folder, if it holds the model that the codes are of. */
async function modelOf({ model }: Codes, given: ModelSource | undefined): Promise<string> {
  const expected = `the model the codes are of (sha256 ${model.sha256.slice(0, 12)}…), from ${model.checkpoint}`;
  const { dir: checkpoint } = await chooseCheckpoint(given ?? model.checkpoint).catch((error: unknown) => {
    if (given !== undefined) throw error;
    throw new InvalidArgument('model', expected, 'nothing there');
  });
  const { sha256 } = readState(checkpoint).files['model.safetensors']!;
  if (sha256 !== model.sha256)
    throw new InvalidArgument('model', expected, `${checkpoint} (sha256 ${sha256.slice(0, 12)}…)`);
  return checkpoint;
}

function placed({ geometry }: Codes, data: Float32Array, window: WindowName): Volume {
  const { shape, spacing, affine, seen } = geometry;
  const source = `codes (${window}) of ${geometry.source ?? 'a volume'}`;
  if (!seen) return new Volume({ shape, spacing, affine, data, source });
  const small = new Volume({ ...seen, data });
  return new Volume({ shape, spacing, affine, data: resampleVolume(small, shape).data, source });
}
