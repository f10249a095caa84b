import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgument } from '../errors';
import { perplexity, usage } from '../model/codebook';
import { blendPatches, type Patch } from '../patch/blend';
import { blendToFile } from '../patch/blend-file';
import { extractPatch } from '../patch/extract';
import { type Grid, planGrid } from '../patch/grid';
import type { WindowName } from '../patch/windows';
import type { LongCall } from '../progress';
import { type CheckpointState, readState } from '../train/checkpoint';
import { attach, Run } from '../train/run';
import { type Intensity, type IntensitySpec, resolveIntensity } from '../volume/intensity';
import type { Vec3 } from '../volume/vec3';
import type { Volume } from '../volume/volume';
import type { WriteOptions } from '../volume/write';
import { decodePatches } from './decoder-pool';
import { checkMirror, type MirrorAxis } from './mirror';
import { Reconstruction, type ReconstructionDetails } from './reconstruction';
import { share } from './share';

export interface ReconstructOptions extends LongCall {
  /** Distance of neighbouring patches in voxels; default: that of the training. */
  readonly stride?: Vec3;
  /** Which checkpoint of a run; default `best`, where there is one, else `last`. */
  readonly checkpoint?: 'last' | 'best';
  /** Default: the one the run was trained with. */
  readonly backend?: string;
  /** Threads that decode patches; default: one a core. */
  readonly workers?: number;
  /** How the volume's values become the model's; default: as in the training. */
  readonly intensity?: IntensitySpec;
  /** Also mirror each patch along these axes and take the mean of the outputs: n axes take 2^n times as long. */
  readonly mirror?: readonly MirrorAxis[];
}

/** A trained model: a run, a run's id or folder, or the folder of a checkpoint. */
export type ModelSource = Run | string;

/** Passes a volume through a trained model, patch by patch, and blends the patches. */
export async function reconstruct(
  model: ModelSource,
  volume: Volume,
  options: ReconstructOptions & { readonly window?: WindowName } = {},
): Promise<Reconstruction> {
  const { window = 'gaussian', ...rest } = options;
  return (await reconstructWindows(model, volume, { ...rest, windows: [window] }))[window]!;
}

/** One pass through the model, blended with several windows. @throws InvalidArgument for a model without a checkpoint. */
export async function reconstructWindows<W extends WindowName>(
  model: ModelSource,
  volume: Volume,
  options: ReconstructOptions & { readonly windows: readonly W[] },
): Promise<Record<W, Reconstruction>> {
  const { grid, decoded, how } = await decode(model, volume, options);
  const copies = share(decoded, options.windows.length);
  const blended = await Promise.all(
    options.windows.map((window, i) => blendPatches(grid, copies[i]!, { window, signal: options.signal })),
  );
  const entries = options.windows.map((window, i) => {
    const { shape, spacing, affine } = volume;
    const source = `reconstruction (${window}) of ${volume.source ?? 'a volume'}`;
    return [
      window,
      new Reconstruction({ shape, spacing, affine, data: blended[i]!, source }, { window, ...how() }),
    ];
  });
  return Object.fromEntries(entries) as Record<W, Reconstruction>;
}

/**
 * Reconstructs a volume straight into a NIfTI file, with the volume's place and without holding the output: memory
 * above the input is that of a slab. Errors are those of `reconstructWindows` and `writeVolume`.
 */
export async function reconstructToFile(
  model: ModelSource,
  volume: Volume,
  path: string,
  options: ReconstructOptions & Pick<WriteOptions, 'dtype'> & { readonly window?: WindowName } = {},
): Promise<ReconstructionDetails> {
  const { window = 'gaussian', dtype, signal } = options;
  const { grid, decoded, how } = await decode(model, volume, options);
  await blendToFile(grid, decoded, path, { window, dtype, signal, like: volume });
  return { window, ...how() };
}

interface Decoding {
  readonly grid: Grid;
  readonly decoded: AsyncGenerator<Patch>;
  /** What is known once all patches are decoded. */
  how(): Omit<ReconstructionDetails, 'window'>;
}

/** Sends the patches of a volume through the model as they are asked for. */
async function decode(model: ModelSource, volume: Volume, options: ReconstructOptions): Promise<Decoding> {
  const started = performance.now();
  const mirror = checkMirror(options.mirror ?? []);
  const checkpoint = await checkpointOf(model, options.checkpoint);
  const { config, intensities } = readState(checkpoint) as CheckpointState;
  const intensity = options.intensity
    ? resolveIntensity(options.intensity, volume)
    : intensityOf(volume, config.intensity, intensities);
  const grid = planGrid(volume.shape, { patch: config.patch, stride: options.stride ?? config.stride });
  const counts = new Float64Array(config.model.codes);
  const backend = options.backend ?? config.backend;
  const setup = { checkpoint, backend, intensity, patch: grid.patch, mirror };
  const decoded = async function* (): AsyncGenerator<Patch> {
    let done = 0;
    for await (const patch of decodePatches(setup, patchesOf(volume, grid), options)) {
      patch.counts.forEach((count, code) => {
        counts[code]! += count;
      });
      yield patch;
      options.onProgress?.({ done: ++done, total: grid.patches, what: 'patches' });
    }
  };
  const how = () => ({
    grid,
    intensity,
    seconds: (performance.now() - started) / 1000,
    perplexity: perplexity(counts),
    usage: usage(counts),
  });
  return { grid, decoded: decoded(), how };
}

function* patchesOf(volume: Volume, grid: Grid): Generator<Patch> {
  for (let index = 0; index < grid.patches; index++)
    yield { index, data: extractPatch(volume.data, grid, index) };
}

/** A volume of the training keeps its map; another gets its own by the same rule. */
function intensityOf(
  volume: Volume,
  spec: CheckpointState['config']['intensity'],
  known: CheckpointState['intensities'],
): Intensity {
  return (volume.source && known[volume.source]) || resolveIntensity(spec, volume);
}

async function checkpointOf(model: ModelSource, which: 'last' | 'best' | undefined): Promise<string> {
  if (typeof model === 'string' && existsSync(join(model, 'state.json'))) return model;
  if (typeof model === 'string' && statSync(model, { throwIfNoEntry: false })?.isFile())
    throw new InvalidArgument('model', 'a run or the folder of a checkpoint', model);
  const run = model instanceof Run ? model : await attach(model);
  if (which) return run.checkpoint(which);
  return run.checkpoint('best').catch(() => run.checkpoint('last'));
}
