import { perplexity, usage } from '../model/codebook';
import { codeCount } from '../model/quantisers/registry';
import type { Patch } from '../patch/blend';
import { expectLength } from '../patch/extract';
import { type Grid, planGrid } from '../patch/grid';
import { type ForegroundOptions, selectForeground } from '../patch/select';
import type { Sink, Written } from '../patch/sink';
import type { WindowName, WindowOptions } from '../patch/windows';
import type { LongCall } from '../progress';
import type { ChosenCheckpoint } from '../train/record/choose-checkpoint';
import { type AxisName, type Vec3, voxelCount } from '../vec3';
import type { Intensity } from '../volume/intensity';
import { Volume, type VolumeInit } from '../volume/volume';
import { wholeStorage } from '../volume/write';
import { blendVolume, blendVolumeTo } from './blend-volume';
import { checkMirror } from './mirror';
import { passPatches } from './model-threads';
import { type ModelSource, type PassOptions, patchesOf, planPass } from './pass';

export interface ReconstructOptions extends LongCall, PassOptions {
  /** Standard deviation of the gaussian window as a fraction of the patch, one for all axes or one each. */
  readonly sigma?: WindowOptions['sigma'];
  /** Send only patches with foreground through the model: values over `above`, in the file's units. */
  readonly foreground?: ForegroundOptions;
  /** One value for each voxel of the volume; where it is 0 the output is `fill`. */
  readonly mask?: Uint8Array;
  /** The value outside the mask and in patches without foreground; default: the least value the model can give. */
  readonly fill?: number;
  /** Also mirror each patch along these axes and take the mean of the outputs: n axes take 2^n times as long. */
  readonly mirror?: readonly AxisName[];
}

/** A way to blend: a window, and for the gaussian its standard deviation as a fraction of the patch. */
export interface Blending extends WindowOptions {
  readonly window: WindowName;
}

/** What one pass is blended to: a reconstruction for each window, or for each way to blend under a name of your own. */
export type Windows<N extends string> = readonly (N & WindowName)[] | Readonly<Record<N, Blending>>;

/** How a model reconstructed a volume, patch by patch. */
export interface ReconstructionDetails {
  readonly grid: Grid;
  readonly window: WindowName;
  readonly intensity: Intensity;
  /** exp(entropy) of the codes the volume used. */
  readonly perplexity: number;
  /** Distinct codes the volume used over the size of the codebook. */
  readonly usage: number;
  /** How often the volume used each code, by the code's number. */
  readonly codeCounts: Float64Array;
  /** Voxels per latent `[x, y, z]`: the period of the model's own pattern. */
  readonly downsample: Vec3;
  /** Wall time from the first patch to the last voxel. */
  readonly seconds: number;
  /** The model that made it. */
  readonly checkpoint: ChosenCheckpoint;
}

/** A model's reconstruction of a volume, and how it was made. */
export class Reconstruction extends Volume implements ReconstructionDetails {
  readonly grid: Grid;
  readonly window: WindowName;
  readonly intensity: Intensity;
  readonly perplexity: number;
  readonly usage: number;
  readonly codeCounts: Float64Array;
  readonly downsample: Vec3;
  readonly seconds: number;
  readonly checkpoint: ChosenCheckpoint;

  constructor(init: VolumeInit, how: ReconstructionDetails) {
    super(init);
    this.grid = how.grid;
    this.window = how.window;
    this.intensity = how.intensity;
    this.perplexity = how.perplexity;
    this.usage = how.usage;
    this.codeCounts = how.codeCounts;
    this.downsample = how.downsample;
    this.seconds = how.seconds;
    this.checkpoint = how.checkpoint;
  }
}

/**
 * Passes a volume through a trained model, patch by patch, and blends the patches: to a volume in memory; to several,
 * from one pass through the model; or straight into a NIfTI file or a dataset, in the memory of a slab. A dataset's
 * volume is named `<source>-<window>` unless the sink says otherwise. A NIfTI file has the data type of the volume's file
 * if that is one of whole numbers, with its slope and intercept, else float32; values are rounded, and clipped to the type.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const [run] = await pw.listRuns(); // the latest
 * const made = await pw.reconstruct(run!, ct, { window: 'hann' });
 * const { linear, gaussian } = await pw.reconstruct(run!, ct, { windows: ['linear', 'gaussian'] });
 * await pw.reconstruct(run!, ct, { to: 'reconstruction.nii.gz' });
 * await pw.reconstruct(run!, ct, { to: { dataset: 'made', name: 'ct' } });
 * ```
 * @param options.window default `gaussian`
 * @throws InvalidArgument for a model without a checkpoint, and options that do not fit it; the signal's reason on abort;
 * with `to` also errors of `writeSlabs` and `writeDatasetVolume`
 */
export async function reconstruct(
  model: ModelSource,
  volume: Volume,
  options: ReconstructOptions & { readonly window?: WindowName; readonly to: Sink },
): Promise<ReconstructionDetails & Written>;
export async function reconstruct<N extends string>(
  model: ModelSource,
  volume: Volume,
  options: ReconstructOptions & { readonly windows: Windows<N> },
): Promise<Record<N, Reconstruction>>;
export async function reconstruct(
  model: ModelSource,
  volume: Volume,
  options?: ReconstructOptions & { readonly window?: WindowName },
): Promise<Reconstruction>;
export async function reconstruct(
  model: ModelSource,
  volume: Volume,
  options: ReconstructOptions & {
    readonly window?: WindowName;
    readonly windows?: Windows<string>;
    readonly to?: Sink;
  } = {},
): Promise<Reconstruction | Record<string, Reconstruction> | (ReconstructionDetails & Written)> {
  const { window = 'gaussian', windows, to } = options;
  const { canvas, patches, blending, intensity, details } = await startPass(model, volume, options);
  if (to !== undefined) {
    const stored = wholeStorage(volume.header);
    const known = { source: volume.source ?? 'volume', intensity, stored };
    const written = await blendVolumeTo(to, canvas, patches, { ...blending, window }, known);
    return { ...written, ...details(window) };
  }
  const ways = Object.entries(waysOf(windows ?? [window]));
  const copies = share(patches, ways.length);
  const blended = await Promise.all(
    ways.map(([, way], i) => blendVolume(canvas, copies[i]!, { ...blending, ...way })),
  );
  const { shape, spacing, affine, header } = volume;
  const made = ways.map(([name, { window }], i) => {
    const source = `reconstruction (${name}) of ${volume.source ?? 'a volume'}`;
    return new Reconstruction({ shape, spacing, affine, header, data: blended[i]!, source }, details(window));
  });
  return windows ? Object.fromEntries(ways.map(([name], i) => [name, made[i]!])) : made[0]!;
}

function waysOf(windows: Windows<string>): Readonly<Record<string, Blending>> {
  if (!Array.isArray(windows)) return windows as Readonly<Record<string, Blending>>;
  return Object.fromEntries((windows as readonly WindowName[]).map((window) => [window, { window }]));
}

/** Sends the patches of a volume through the model as they are asked for. */
async function startPass(model: ModelSource, volume: Volume, options: ReconstructOptions) {
  const started = performance.now();
  const mirror = checkMirror(options.mirror ?? []);
  const { checkpoint, config, setup, view, grid } = await planPass(model, volume, options);
  const { intensity } = setup;
  const { sigma, mask, fill = intensity.low, signal } = options;
  if (mask) expectLength('mask', mask, voxelCount(volume.shape), 'one for each voxel of the volume');
  const seen = view ?? volume;
  const { keep, skip } = options.foreground
    ? selectForeground(seen.data, grid, options.foreground)
    : { keep: [...Array(grid.patches).keys()], skip: [] };
  const counts = new Float64Array(codeCount(config.model));
  const patches = async function* (): AsyncGenerator<Patch> {
    const work = { ...setup, work: 'reconstruct', mirror } as const;
    for await (const patch of passPatches(work, patchesOf(seen, grid, keep), keep.length, options)) {
      patch.counts.forEach((count, code) => {
        counts[code]! += count;
      });
      yield patch;
    }
  };
  /** Known once all patches have passed. */
  const details = (window: WindowName): ReconstructionDetails => ({
    // A resampled view is stretched to the volume as a whole, so no border of its patches is left.
    grid: view ? planGrid(volume.shape, { patch: volume.shape }) : grid,
    window,
    intensity,
    seconds: (performance.now() - started) / 1000,
    perplexity: perplexity(counts),
    usage: usage(counts),
    codeCounts: counts,
    downsample: config.model.downsample,
    checkpoint,
  });
  const canvas = { volume, view, grid };
  return { canvas, patches: patches(), blending: { sigma, skip, mask, fill, signal }, intensity, details };
}

/**
 * Lets several consumers walk one async source in step: an item is taken from the source when all of them have asked
 * for it, so that nothing is kept for the slowest. A consumer that stops early lets the others go on. Each must ask at
 * least once: a generator that was never started does not notice its end, and the others would wait for it.
 */
function share<T>(source: AsyncGenerator<T>, consumers: number): AsyncIterable<T>[] {
  let active = consumers;
  const waiting: ((result: Promise<IteratorResult<T>>) => void)[] = [];
  const advance = (): void => {
    if (waiting.length === 0 || waiting.length < active) return;
    const next = source.next();
    for (const resolve of waiting.splice(0)) resolve(next);
  };
  return Array.from({ length: consumers }, async function* () {
    try {
      for (;;) {
        const next = await new Promise<IteratorResult<T>>((resolve) => {
          waiting.push(resolve);
          advance();
        });
        if (next.done) return;
        yield next.value;
      }
    } finally {
      active--;
      if (active === 0) await source.return(undefined);
      else advance();
    }
  });
}
