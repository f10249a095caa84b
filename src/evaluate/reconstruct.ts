import { basename } from 'node:path';
import { perplexity, usage } from '../model/codebook';
import { codeCount } from '../model/quantisers/registry';
import { type BlendOptions, blendPatches, type Patch } from '../patch/blend';
import { blendToDataset } from '../patch/blend-dataset';
import { blendToFile } from '../patch/blend-file';
import { expectLength } from '../patch/extract';
import { type Grid, planGrid } from '../patch/grid';
import { type ForegroundOptions, selectForeground } from '../patch/select';
import type { WindowName, WindowOptions } from '../patch/windows';
import type { LongCall } from '../progress';
import { plainName } from '../volume/prepare/sources';
import { type DatasetVolumeOptions, writeDatasetVolume } from '../volume/prepare/write-volume';
import { voxelCount } from '../volume/vec3';
import { resampleVolume } from '../volume/view';
import type { Volume } from '../volume/volume';
import { type WriteOptions, writeVolume } from '../volume/write';
import { decodePatches } from './decoder-pool';
import { type ModelSource, type PassOptions, patchesOf, planPass } from './pass';

export type { ModelSource } from './pass';

import { checkMirror, type MirrorAxis } from './mirror';
import { Reconstruction, type ReconstructionDetails } from './reconstruction';
import { share } from './share';

export interface ReconstructOptions extends LongCall, PassOptions {
  /** Threads that decode patches; default: as many as backend, cores and memory allow, one on a GPU. */
  readonly workers?: number;
  /** Standard deviation of the gaussian window as a fraction of the patch, one for all axes or one each. */
  readonly sigma?: WindowOptions['sigma'];
  /** Send only patches with foreground through the model: values over `above`, in the file's units. */
  readonly foreground?: ForegroundOptions;
  /** One value a voxel of the volume; where it is 0 the output is `fill`. */
  readonly mask?: Uint8Array;
  /** What stands outside the mask and in patches without foreground; default: the least value the model can give. */
  readonly fill?: number;
  /** Also mirror each patch along these axes and take the mean of the outputs: n axes take 2^n times as long. */
  readonly mirror?: readonly MirrorAxis[];
}

/**
 * Passes a volume through a trained model, patch by patch, and blends the patches.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const [run] = await pw.listRuns(); // the latest
 * const reconstruction = await pw.reconstruct(run!, ct, { window: 'gaussian' });
 * await pw.writeVolume('reconstruction.nii.gz', reconstruction);
 * ```
 */
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
  const blends = Object.fromEntries(options.windows.map((window): [W, Blending] => [window, { window }]));
  return reconstructBlends(model, volume, { ...options, blends: blends as Record<W, Blending> });
}

/** A way to blend: a window, and for the gaussian its standard deviation as a fraction of the patch. */
export interface Blending extends WindowOptions {
  readonly window: WindowName;
}

/** One pass through the model, blended in several ways, each with a name. Errors are those of `reconstructWindows`. */
export async function reconstructBlends<N extends string>(
  model: ModelSource,
  volume: Volume,
  options: ReconstructOptions & { readonly blends: Readonly<Record<N, Blending>> },
): Promise<Record<N, Reconstruction>> {
  const { grid, seen, decoded, how, blend } = await decode(model, volume, options);
  const named = Object.entries<Blending>(options.blends);
  const copies = share(decoded, named.length);
  const blended = await Promise.all(
    named.map(([, own], i) => blendPatches(grid, copies[i]!, { ...blend, ...own })),
  );
  const entries = named.map(([name, { window }], i) => {
    const { shape, spacing, affine } = volume;
    const data = seen === volume ? blended[i]! : atFullSize(seen.with(blended[i]!), volume, blend);
    const source = `reconstruction (${name}) of ${volume.source ?? 'a volume'}`;
    return [name, new Reconstruction({ shape, spacing, affine, data, source }, { window, ...how() })];
  });
  return Object.fromEntries(entries) as Record<N, Reconstruction>;
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
  const { grid, seen, decoded, how, blend } = await decode(model, volume, options);
  if (seen !== volume) {
    const view = seen.with(await blendPatches(grid, decoded, { ...blend, window }));
    await writeVolume(path, volume.with(atFullSize(view, volume, blend)), { dtype, signal });
  } else await blendToFile(grid, decoded, path, { ...blend, window, dtype, like: volume });
  return { window, ...how() };
}

/**
 * Reconstructs a volume straight into a dataset, as the volume `<source>-<window>` of it where `name` says nothing else;
 * the rest as `reconstructToFile`. Errors are those of `reconstructWindows` and `writeDatasetVolume`.
 */
export async function reconstructToDataset(
  model: ModelSource,
  volume: Volume,
  dir: string,
  options: ReconstructOptions &
    Pick<DatasetVolumeOptions, 'dtype' | 'name' | 'patient' | 'split'> & {
      readonly window?: WindowName;
    } = {},
): Promise<ReconstructionDetails & { readonly name: string }> {
  const { window = 'gaussian', dtype, patient, split, signal } = options;
  const source = volume.source ?? 'volume';
  const { grid, seen, decoded, how, blend } = await decode(model, volume, options);
  const { low, high } = how().intensity;
  const intensity = [low, high] as const;
  const named = options.name ?? `${plainName(basename(source))}-${window}`;
  const stored = { name: named, dtype, patient, split, signal, source, intensity, blended: true };
  if (seen === volume) {
    const name = await blendToDataset(grid, decoded, dir, { ...blend, ...stored, window, like: volume });
    return { name, window, ...how() };
  }
  const view = seen.with(await blendPatches(grid, decoded, { ...blend, window }));
  const slab = { z: 0, depth: volume.shape[2], data: atFullSize(view, volume, blend) };
  const name = await writeDatasetVolume(dir, volume, [slab], stored);
  return { name, window, ...how() };
}

/** What was made of a resampled view, in the voxels of the volume and behind its mask. */
function atFullSize(view: Volume, volume: Volume, { outside, fill }: Decoding['blend']): Float32Array {
  const { data } = resampleVolume(view, volume.shape);
  if (outside) for (let i = 0; i < data.length; i++) if (outside[i] === 0) data[i] = fill;
  return data;
}

interface Decoding {
  /** What the model sees: the volume itself, or the resampled view its run was trained on. */
  readonly seen: Volume;
  /** The patches of what is seen. */
  readonly grid: Grid;
  readonly decoded: AsyncGenerator<Patch>;
  readonly blend: Pick<BlendOptions, 'sigma' | 'skip' | 'mask' | 'signal'> & {
    readonly fill: number;
    /** The mask of the volume, where what is seen has another size. */
    readonly outside?: Uint8Array;
  };
  /** What is known once all patches are decoded. */
  how(): Omit<ReconstructionDetails, 'window'>;
}

/** Sends the patches of a volume through the model as they are asked for. */
async function decode(model: ModelSource, volume: Volume, options: ReconstructOptions): Promise<Decoding> {
  const started = performance.now();
  const mirror = checkMirror(options.mirror ?? []);
  const { checkpoint, config, use, backend, intensity, seen, grid } = await planPass(model, volume, options);
  if (options.mask) expectLength('mask', options.mask, voxelCount(volume.shape), 'one a voxel of the volume');
  const { keep, skip } = options.foreground
    ? selectForeground(seen.data, grid, options.foreground)
    : { keep: Array.from({ length: grid.patches }, (_, index) => index), skip: [] };
  const { sigma, fill = intensity.low, signal } = options;
  const mask = seen === volume ? { mask: options.mask } : { outside: options.mask };
  const counts = new Float64Array(codeCount(config.model));
  const setup = {
    work: 'reconstruct',
    checkpoint: checkpoint.dir,
    use,
    backend,
    intensity,
    patch: grid.patch,
    mirror,
  } as const;
  const decoded = async function* (): AsyncGenerator<Patch> {
    let done = 0;
    for await (const patch of decodePatches(setup, patchesOf(seen, grid, keep), options)) {
      patch.counts.forEach((count, code) => {
        counts[code]! += count;
      });
      yield patch;
      options.onProgress?.({ done: ++done, total: keep.length, what: 'patches' });
    }
  };
  const how = () => ({
    // Of a resampled view the whole volume is one patch, and has no borders inside.
    grid: seen === volume ? grid : planGrid(volume.shape, { patch: volume.shape }),
    intensity,
    seconds: (performance.now() - started) / 1000,
    perplexity: perplexity(counts),
    usage: usage(counts),
    codeCounts: counts,
    downsample: config.model.downsample,
    checkpoint,
  });
  return { seen, grid, decoded: decoded(), blend: { sigma, skip, ...mask, fill, signal }, how };
}
