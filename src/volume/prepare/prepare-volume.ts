import { createHash } from 'node:crypto';
import { createReadStream, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withPath } from '../../atomic-file';
import { NoMemory, UnreadableFile } from '../../errors';
import { makeFolder } from '../../make-folder';
import { openError } from '../fault';
import { finiteRange, type IntensitySpec, resolveIntensity } from '../intensity';
import { readVoxels } from '../read';
import { cropToShape, resampleToShape, resampleToSpacing, type VoxelImage } from '../resample';
import { same, unfinished, writeJson } from '../store/files';
import { groupMetadata, type SourceRecord, type VolumeRecord, type VoxelSettings } from '../store/format';
import { writeImage } from '../store/image-writer';
import { filesOf, type Source, stateOf } from './sources';

/** One volume to prepare. */
export interface VolumeJob {
  readonly source: Source;
  readonly output: string;
  readonly settings: VoxelSettings;
  readonly intensity: IntensitySpec;
}

/**
 * Prepares one volume: its folder appears whole or not at all. Throws UnreadableFile or InvalidArgument for a file
 * that cannot be prepared; NoMemory, or the system's error, if the machine cannot.
 */
export async function prepareVolume({
  source,
  output,
  settings,
  intensity,
}: VolumeJob): Promise<VolumeRecord> {
  const folder = join(output, source.name);
  const temporary = unfinished(folder);
  rmSync(temporary, { recursive: true, force: true });
  try {
    const { canonical, index, channel } = settings;
    const before = stateOf(source);
    const voxels = await readVoxels(source.path, { canonical, index, channel });
    const image = settings.spacing ? resampleToSpacing(voxels, settings.spacing, settings) : voxels;
    const range = valueRange(image, voxels);
    if (!range) throw new UnreadableFile(source.path, 'voxels that are finite numbers', 'none');
    makeFolder(temporary);
    const record: VolumeRecord = {
      source: await unchangedSource(source, before),
      settings,
      range,
      intensity: resolveIntensity(intensity, { data: Float32Array.from(range) }),
      image: await writeImage(join(temporary, 'image'), image, scalingOf(voxels)),
      baseline: settings.baseline
        ? await writeImage(join(temporary, 'baseline'), baselineOf(image, settings), scalingOf(voxels))
        : null,
    };
    writeJson(join(temporary, 'zarr.json'), groupMetadata(record));
    replaceFolder(temporary, folder);
    return record;
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw isOutOfMemory(error) ? new NoMemory(source.path, 0, { cause: error }) : error;
  }
}

/** V8's words for an array that the machine has no memory for. */
function isOutOfMemory(error: unknown): boolean {
  return error instanceof RangeError && /allocation failed/i.test(error.message);
}

function baselineOf(image: VoxelImage, { baseline, antialias }: VoxelSettings): VoxelImage {
  return baseline!.how === 'crop'
    ? cropToShape(image, baseline!.shape)
    : resampleToShape(image, baseline!.shape, { antialias });
}

function scalingOf({ slope, intercept }: { slope: number; intercept: number }) {
  return { slope, intercept };
}

/** Least and greatest finite value, undefined where there is none. */
function valueRange(
  { data }: VoxelImage,
  { slope, intercept }: { slope: number; intercept: number },
): [number, number] | undefined {
  const range = finiteRange(data);
  if (!range) return undefined;
  const ends = range.map((stored) => Math.fround(stored * slope + intercept));
  return [Math.min(...ends), Math.max(...ends)];
}

/**
 * What a source is, if it is what it was before its voxels were read. Of a download that went on meanwhile the voxels
 * would else pass for those of the whole file, in every later call too. Throws UnreadableFile if it has changed.
 */
async function unchangedSource(source: Source, before: ReturnType<typeof stateOf>): Promise<SourceRecord> {
  const record = await sourceRecord(source);
  if (same(stateOf(source), before)) return record;
  const found = 'one that changed meanwhile; prepare again when its copy or download is complete';
  throw new UnreadableFile(source.path, 'a file that stays as it is while it is read', found);
}

export async function sourceRecord(source: Source): Promise<SourceRecord> {
  return { file: source.file, ...stateOf(source), sha256: await checksum(source) };
}

/** SHA-256 of a source's files, one after the other. */
export async function checksum(source: Pick<Source, 'path'>): Promise<string> {
  const hash = createHash('sha256');
  for (const file of filesOf(source))
    try {
      for await (const piece of createReadStream(file, { highWaterMark: 2 ** 20 }))
        hash.update(piece as Buffer);
    } catch (error) {
      throw withPath(openError(file, error), file);
    }
  return hash.digest('hex');
}

/** A folder cannot be renamed over another: the old one goes aside first, so that at worst there is none. */
export function replaceFolder(temporary: string, folder: string): void {
  const old = unfinished(`${folder}.old`);
  rmSync(old, { recursive: true, force: true });
  if (existsSync(folder)) renameSync(folder, old);
  renameSync(temporary, folder);
  rmSync(old, { recursive: true, force: true });
}
