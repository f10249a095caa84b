import { InvalidArgument } from '../errors';
import type { Sink, Written } from '../patch/sink';
import type { WindowName } from '../patch/windows';
import type { LongCall } from '../progress';
import { blendVolume, blendVolumeTo } from '../reconstruct/blend-volume';
import { type ModelPatch, passPatches } from '../reconstruct/model-threads';
import { chooseCheckpoint, type ModelSource } from '../reconstruct/pass';
import { readState } from '../train/record/checkpoint';
import { Volume } from '../volume/volume';
import type { Codes } from './codes';

export interface DecodeOptions extends LongCall {
  /** The model the codes are of; default: the checkpoint they were made with, in its place at that time. */
  readonly model?: ModelSource;
  /** How patches are blended; default `gaussian`. */
  readonly window?: WindowName;
  /** Default: the one the run was trained with. */
  readonly backend?: string;
  /** Threads that decode patches; default: as many as backend, cores and memory allow, one on a GPU. */
  readonly workers?: number;
}

/**
 * The volume of codes, equal to what `reconstruct` makes of the volume they were encoded from; with `to` straight into a
 * NIfTI file or a dataset.
 * @throws InvalidArgument if the model is gone or is not that of the codes; the signal's reason on abort; with `to` also
 * errors of `writeSlabs` and `writeDatasetVolume`
 */
export async function decode(codes: Codes, options: DecodeOptions & { readonly to: Sink }): Promise<Written>;
export async function decode(codes: Codes, options?: DecodeOptions): Promise<Volume>;
export async function decode(
  codes: Codes,
  options: DecodeOptions & { readonly to?: Sink } = {},
): Promise<Volume | Written> {
  const { window = 'gaussian', signal, to } = options;
  const { grid, intensity, model, geometry } = codes;
  const { shape, spacing, affine, stored, source = 'a volume' } = geometry;
  const checkpoint = await modelOf(codes, options.model);
  const backend = options.backend ?? readState(checkpoint).config.backend;
  const setup = { checkpoint, use: model.use, backend, intensity, patch: grid.patch };
  const patches = passPatches({ ...setup, work: 'decode' }, patchesOf(codes), grid.patches, options);
  const canvas = { volume: { shape, spacing, affine }, view: geometry.seen, grid };
  if (to !== undefined)
    return blendVolumeTo(to, canvas, patches, { window, signal }, { source, intensity, stored });
  const data = await blendVolume(canvas, patches, { window, signal });
  return new Volume({ shape, spacing, affine, data, source: `codes (${window}) of ${source}` });
}

function* patchesOf(codes: Codes): Generator<ModelPatch> {
  for (let index = 0; index < codes.grid.patches; index++) yield { index, data: codes.ofPatch(index) };
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
