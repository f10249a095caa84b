import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { InvalidConfig, UnreadableFile } from '../../errors';
import type { LongCall } from '../../progress';
import { eachAxis, type Vec3 } from '../../vec3';
import { headerSpacing } from '../../volume/formats/header';
import { type Intensity, resolveIntensity } from '../../volume/intensity';
import { canonicalAxes } from '../../volume/orient';
import { phantom } from '../../volume/phantom/phantom';
import { readHeader, readVolume } from '../../volume/read';
import { resampleToSpacing, shapeAtSpacing } from '../../volume/resample';
import { type Dataset, isDataset, openDataset } from '../../volume/store/dataset';
import type { SplitName } from '../../volume/store/format';
import type { StoredImage, StoredVolume } from '../../volume/store/stored-image';
import { takeView } from '../../volume/view';
import { Volume } from '../../volume/volume';
import type { RunConfig } from '../settings/config';
import { PatchSet } from './patch-set';
import { planSplit } from './split';

/** What a rank trains and validates on. */
export interface TrainingData {
  readonly train: PatchSet;
  readonly validation: PatchSet;
  /** Volumes, whole or in part, that are trained on. */
  readonly volumes: number;
  /** By volume, as the config names it. */
  readonly intensities: Readonly<Record<string, Intensity>>;
  /** Digest of each volume, in their order: another digest is another volume. */
  readonly digests: readonly string[];
}

/** A volume as the model sees it. */
interface Loaded {
  readonly name: string;
  readonly view: Volume | StoredImage;
  readonly intensity: Intensity;
  readonly digest: string;
  readonly side?: SplitName;
}

/**
 * Reads every volume of a run once, maps its intensities and splits it. Prepared datasets are only opened: their
 * patches are read when they are needed. The result is the same on all ranks.
 */
export async function loadData(config: RunConfig, call: LongCall = {}): Promise<TrainingData> {
  const loaded = config.data.some(isDataset) ? openDatasets(config) : await readVolumes(config, call);
  const views = loaded.map(({ view }) => view);
  const intensities = loaded.map(({ intensity }) => intensity);
  const { train, validation } = planSplit(
    views.map(({ shape }) => shape),
    config,
    loaded.map(({ side }) => side),
  );
  return {
    train: new PatchSet(train, views, intensities),
    validation: new PatchSet(validation, views, intensities),
    volumes: train.length,
    intensities: Object.fromEntries(loaded.map(({ name, intensity }) => [name, intensity])),
    digests: loaded.map(({ digest }) => digest),
  };
}

async function readVolumes(config: RunConfig, call: LongCall): Promise<Loaded[]> {
  const { data, view, intensity } = config;
  const missing = data.find((source) => !isPhantom(source) && !existsSync(source));
  if (missing !== undefined)
    throw new UnreadableFile(
      missing,
      'data of this run',
      "nothing; put it back there, or give its new place under data in the run's config.json",
    );
  const loaded: Loaded[] = [];
  for (const name of data) {
    call.onProgress?.({ done: loaded.length, total: data.length, what: 'volumes' });
    const volume = await readSource(name, config, call);
    loaded.push({
      name,
      view: view === 'full' ? volume : takeView(volume, view),
      // Of the whole volume, so that every view of it has the same map.
      intensity: resolveIntensity(intensity, volume),
      digest: digestOf(volume),
    });
  }
  return loaded;
}

/** How a run reads volume files. */
type Reading = Pick<RunConfig, 'canonical' | 'spacing' | 'index'>;

/** A phantom, or a volume file turned and resampled as the run wants it. */
export async function readSource(source: string, reading: Reading, call: LongCall = {}): Promise<Volume> {
  const { canonical, spacing, index } = reading;
  const made = parsePhantom(source);
  if (made) return made;
  const volume = await readVolume(source, { canonical, index, signal: call.signal });
  if (!spacing) return volume;
  const { data, ...place } = resampleToSpacing(volume, spacing);
  return new Volume({ ...place, data: data as Float32Array, source: volume.source, notes: volume.notes });
}

/** The shape of `readSource`'s volume, by its header. */
export async function sourceShape(source: string, { canonical, spacing }: Reading): Promise<Vec3> {
  const made = phantomOptions(source);
  if (made) return made.shape;
  const header = await readHeader(source);
  const { from } = canonical ? canonicalAxes(header.affine) : { from: [0, 1, 2] as const };
  const mm = headerSpacing(header);
  const turned = {
    shape: eachAxis((axis) => header.shape[from[axis]]!),
    spacing: eachAxis((axis) => mm[from[axis]]!),
  };
  return spacing ? shapeAtSpacing(turned, spacing) : turned.shape;
}

/** Tells volumes with other voxels, or of another size. */
export function digestOf({ shape, data }: Volume): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return createHash('sha256').update(JSON.stringify(shape)).update(bytes).digest('hex');
}

/** Prepared datasets keep their own split, and unless the config names intensities, their own. */
function openDatasets(config: RunConfig): Loaded[] {
  const others = config.data.filter((source) => !isDataset(source));
  if (others.length > 0) {
    const expected = 'either prepared datasets or volumes: their splits do not mix';
    throw new InvalidConfig([{ key: 'data', expected, received: others }]);
  }
  const sharedOut = Math.max(1, Math.min(4, Math.floor(availableParallelism() / config.ranks)));
  const threads = config.workers ?? sharedOut;
  return config.data.flatMap((dir) => {
    const dataset = openDataset(dir, { threads });
    const seen = dataset.volumes.filter(({ split, blended }) => split !== 'test' && !blended);
    return seen.map((volume) => ({
      name: volume.folder,
      view: viewOf(dataset, volume, config.view),
      intensity:
        config.intensity === 'auto'
          ? volume.intensity
          : resolveIntensity(config.intensity, { data: Float32Array.from(volume.range) }),
      digest: volume.digest,
      side: volume.split,
    }));
  });
}

/** @throws InvalidConfig if the dataset was not prepared with that view */
function viewOf({ dir, baseline: has }: Dataset, volume: StoredVolume, view: RunConfig['view']): StoredImage {
  if (view === 'full') return volume;
  if (has?.how !== view.how || has.shape.some((size, axis) => size !== view.shape[axis])) {
    const expected = `a view that ${dir} was prepared with: ${JSON.stringify(has ?? 'full')}`;
    throw new InvalidConfig([{ key: 'view', expected, received: view }]);
  }
  return volume.baseline!;
}

/** The phantom that a source such as `phantom:64x64x76` or `phantom:64x64x76#2` (seed 2) names; else undefined. */
export function parsePhantom(source: string): Volume | undefined {
  const named = phantomOptions(source);
  return named && phantom(named);
}

/** Shape and seed of a phantom by its name; undefined for a file. @throws InvalidConfig for a malformed name */
export function phantomOptions(source: string): { shape: Vec3; seed: number } | undefined {
  if (!isPhantom(source)) return undefined;
  const [, x, y, z, seed = 0] = /^phantom:(\d+)x(\d+)x(\d+)(?:#(\d+))?$/.exec(source) ?? [];
  if (x && y && z) return { shape: [Number(x), Number(y), Number(z)], seed: Number(seed) };
  const expected = 'phantom:XxYxZ or phantom:XxYxZ#seed';
  throw new InvalidConfig([{ key: 'data', expected, received: source }]);
}

export function isPhantom(source: string): boolean {
  return source.startsWith('phantom:');
}
