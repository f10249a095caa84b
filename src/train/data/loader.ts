import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { InvalidConfig, UnreadableFile } from '../../errors';
import type { LongCall } from '../../progress';
import { type Intensity, resolveIntensity } from '../../volume/intensity';
import { phantom } from '../../volume/phantom/phantom';
import { readVolume } from '../../volume/read';
import { type Dataset, isDataset, openDataset } from '../../volume/store/dataset';
import type { StoredImage, StoredVolume } from '../../volume/store/stored-image';
import { viewVolume } from '../../volume/view';
import type { Volume } from '../../volume/volume';
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
  /** By which a changed volume is known, in the order of the volumes. */
  readonly digests: readonly string[];
}

/**
 * Reads every volume of a run once, maps its intensities and splits it. Prepared datasets are only opened: their
 * patches are read when they are needed. The result is the same on all ranks.
 */
export async function loadData(config: RunConfig, call: LongCall = {}): Promise<TrainingData> {
  if (config.data.some(isDataset)) return openDatasets(config);
  const missing = config.data.find((source) => !isPhantom(source) && !existsSync(source));
  if (missing !== undefined)
    throw new UnreadableFile(
      missing,
      'data of this run',
      "nothing; put it back there, or give its new place under data in the run's config.json",
    );
  const volumes: Volume[] = [];
  const intensities: Intensity[] = [];
  const digests: string[] = [];
  for (const source of config.data) {
    call.onProgress?.({ done: volumes.length, total: config.data.length, what: 'volumes' });
    const volume = parsePhantom(source) ?? (await readVolume(source, { signal: call.signal }));
    digests.push(digestOf(volume));
    // Of the whole volume, so that every view of it has the same map.
    intensities.push(resolveIntensity(config.intensity, volume));
    volumes.push(config.view === 'full' ? volume : viewVolume(volume, config.view));
  }
  const split = planSplit(
    volumes.map((volume) => volume.shape),
    config,
  );
  return {
    train: new PatchSet(split.train, volumes, intensities),
    validation: new PatchSet(split.validation, volumes, intensities),
    volumes: split.train.length,
    intensities: Object.fromEntries(config.data.map((source, i) => [source, intensities[i]!])),
    digests,
  };
}

function digestOf({ shape, data }: Volume): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return createHash('sha256').update(JSON.stringify(shape)).update(bytes).digest('hex');
}

/** Prepared datasets keep their own split, and where the config leaves it open, their own intensities. */
function openDatasets(config: RunConfig): TrainingData {
  const others = config.data.filter((source) => !isDataset(source));
  if (others.length > 0) {
    const expected = 'either prepared datasets or volumes: their splits do not mix';
    throw new InvalidConfig([{ key: 'data', expected, received: others }]);
  }
  const sharedOut = Math.max(1, Math.min(4, Math.floor(availableParallelism() / config.ranks)));
  const threads = config.workers ?? sharedOut;
  const datasets = config.data.map((dir) => openDataset(dir, { threads }));
  const volumes = datasets.flatMap(seenInTraining);
  const views = datasets.flatMap((dataset) => viewsOf(dataset, config));
  const split = planSplit(
    views.map(({ shape }) => shape),
    config,
    volumes.map((volume) => volume.split),
  );
  const intensities = volumes.map(({ intensity, range }) =>
    config.intensity === 'auto'
      ? intensity
      : resolveIntensity(config.intensity, { data: Float32Array.from(range) }),
  );
  return {
    train: new PatchSet(split.train, views, intensities),
    validation: new PatchSet(split.validation, views, intensities),
    volumes: split.train.length,
    intensities: Object.fromEntries(volumes.map(({ folder }, i) => [folder, intensities[i]!])),
    digests: volumes.map(({ digest }) => digest),
  };
}

function seenInTraining({ volumes }: Dataset): StoredVolume[] {
  return volumes.filter(({ split, blended }) => split !== 'test' && !blended);
}

/** What the model sees of a dataset's volumes. @throws InvalidConfig if they were not prepared with that view */
function viewsOf(dataset: Dataset, { view }: RunConfig): readonly StoredImage[] {
  const volumes = seenInTraining(dataset);
  if (view === 'full') return volumes;
  const has = dataset.baseline;
  if (has?.how !== view.how || has.shape.some((size, axis) => size !== view.shape[axis])) {
    const expected = `a view that ${dataset.dir} was prepared with: ${JSON.stringify(has ?? 'full')}`;
    throw new InvalidConfig([{ key: 'view', expected, received: view }]);
  }
  return volumes.map(({ baseline }) => baseline!);
}

/** The phantom that `phantom:64x64x76` or `phantom:64x64x76#2` (seed 2) stands for; undefined for anything else. */
export function parsePhantom(source: string): Volume | undefined {
  if (!isPhantom(source)) return undefined;
  const [, x, y, z, seed = '0'] = phantomPattern.exec(source) ?? [];
  if (!x || !y || !z)
    throw new InvalidConfig([
      { key: 'data', expected: 'phantom:XxYxZ or phantom:XxYxZ#seed', received: source },
    ]);
  return phantom({ shape: [Number(x), Number(y), Number(z)], seed: Number(seed) });
}

const phantomPattern = /^phantom:(\d+)x(\d+)x(\d+)(?:#(\d+))?$/;

export function isPhantom(source: string): boolean {
  return source.startsWith('phantom:');
}

/** Whether a phantom's name can be understood. */
export function isWellFormedPhantom(source: string): boolean {
  return phantomPattern.test(source);
}
