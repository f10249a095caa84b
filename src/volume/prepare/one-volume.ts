import { createHash } from 'node:crypto';
import { createReadStream, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isPatchwiseError, NoMemory, UnreadableFile } from '../../errors';
import { makeFolder } from '../../make-folder';
import { typeOf } from '../base/datatypes';
import { isOutOfMemory } from '../base/fault';
import { withConverted } from '../dicom/convert';
import { type IntensitySpec, resolveIntensity, valueRange } from '../intensity';
import { type ReadOptions, readVoxels } from '../read';
import { resampleToSpacing, type VoxelImage } from '../resample';
import { same, unfinished, writeJson } from '../store/files';
import { groupMetadata, type SourceRecord, type VolumeRecord, type VoxelSettings } from '../store/format';
import { writeImage } from '../store/image-writer';
import { verifyShard } from '../store/shard';
import { viewImage } from '../view';
import { filesOf, type Source, sourceError, stateOf } from './sources';
import { farBelowAir, partBelowAir } from './voxel-facts';

/** One volume to prepare. */
export interface VolumeJob {
  readonly source: Source;
  readonly output: string;
  readonly settings: VoxelSettings;
  readonly intensity: IntensitySpec;
  /** The record of a stored volume, to verify it instead. */
  readonly verify?: VolumeRecord;
}

/**
 * Prepares one volume. Its folder appears whole or not at all. Throws UnreadableFile or InvalidArgument if the file is at
 * fault, NoMemory or the system's error if the machine is.
 */
export async function prepareVolume(job: VolumeJob): Promise<VolumeRecord> {
  const { source, output, settings, intensity } = job;
  const folder = join(output, source.name);
  const temporary = unfinished(folder);
  rmSync(temporary, { recursive: true, force: true });
  try {
    const { canonical, index, channel } = settings;
    const before = stateOf(source);
    // It may have been converted, before the folder appears.
    makeFolder(temporary);
    const { voxels, notes } = await readSource(source, temporary, { canonical, index, channel });
    const image = settings.spacing ? resampleToSpacing(voxels, settings.spacing, settings) : voxels;
    const { slope, intercept } = voxels;
    const write = (name: string, { shape, data, spacing, affine }: VoxelImage) => {
      const head = { shape, type: typeOf(data), slope, intercept, spacing, affine };
      return writeImage(join(temporary, name), head, [data]);
    };
    const range = valueRange(image.data, voxels);
    if (!range) throw new UnreadableFile(source.path, 'voxels that are finite numbers', 'none');
    const record: VolumeRecord = {
      source: await unchangedSource(source, before),
      settings,
      range,
      ...(range[0] < farBelowAir && { belowAir: partBelowAir(voxels.data, voxels) }),
      intensity: resolveIntensity(intensity, { data: Float32Array.from(range) }),
      image: await write('image', image),
      baseline: settings.baseline && (await write('baseline', viewImage(image, settings.baseline, settings))),
      ...(notes.length > 0 && { notes }),
    };
    writeJson(join(temporary, 'zarr.json'), groupMetadata(record));
    replaceFolder(temporary, folder);
    return record;
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw machineError(source, error);
  }
}

/** Reads all chunks of a stored volume. Throws UnreadableFile with the file if one has a wrong checksum. */
export async function verifyVolume(
  { source, output }: VolumeJob,
  record: VolumeRecord,
): Promise<VolumeRecord> {
  const { image, baseline } = record;
  for (const [name, array] of Object.entries({ image, baseline }))
    if (array) verifyShard(join(output, source.name, name), array);
  return record;
}

/** NoMemory with the source's name if the machine lacks memory; any other error unchanged. */
export function machineError({ path }: Pick<Source, 'path'>, error: unknown): unknown {
  const isNamed = isPatchwiseError(error, 'NoMemory');
  return !isNamed && isOutOfMemory(error) ? new NoMemory(path, 0, { cause: error }) : error;
}

/** The voxels of a file, or of a series, which is converted within `folder`. */
async function readSource({ path, series }: Source, folder: string, options: ReadOptions) {
  if (!series) return { voxels: await readVoxels(path, options), notes: [] };
  return withConverted(series, { within: folder }, async (made) => ({
    voxels: await readVoxels(made.path, options),
    notes: [...series.notes, ...made.notes],
  }));
}

/**
 * The record of a source. Throws UnreadableFile if the source changed while its voxels were read. Otherwise the voxels of
 * a running download would pass for those of the whole file, in later calls too.
 */
async function unchangedSource(source: Source, before: ReturnType<typeof stateOf>): Promise<SourceRecord> {
  const record = await sourceRecord(source);
  if (same(stateOf(source), before)) return record;
  const found = 'a file that changed; prepare again when its copy or download is complete';
  throw new UnreadableFile(source.path, 'a file that does not change during reading', found);
}

export async function sourceRecord(source: Pick<Source, 'path' | 'file' | 'series'>): Promise<SourceRecord> {
  return { file: source.file, ...stateOf(source), sha256: await checksum(source) };
}

/** SHA-256 of a source's files, one after the other. */
export async function checksum(source: Pick<Source, 'path' | 'series'>): Promise<string> {
  const hash = createHash('sha256');
  for (const file of filesOf(source))
    try {
      for await (const piece of createReadStream(file, { highWaterMark: 2 ** 20 }))
        hash.update(piece as Buffer);
    } catch (error) {
      throw sourceError(source, file, error);
    }
  return hash.digest('hex');
}

/** Replaces a folder. A folder cannot be renamed onto another, so the old one is moved away first. */
export function replaceFolder(temporary: string, folder: string): void {
  const old = unfinished(`${folder}.old`);
  rmSync(old, { recursive: true, force: true });
  if (existsSync(folder)) renameSync(folder, old);
  renameSync(temporary, folder);
  rmSync(old, { recursive: true, force: true });
}
