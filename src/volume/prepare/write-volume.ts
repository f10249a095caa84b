import { existsSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { writeTo } from '../../atomic-file';
import { InvalidArgument } from '../../errors';
import { makeFolder } from '../../make-folder';
import { allocate, storedTypes, type VoxelArray } from '../datatypes';
import { finiteRange, type IntensitySpec, resolveIntensity } from '../intensity';
import { indexBefore, isUnfinished, knownSide, setIndexAside, writeEntry } from '../store/dataset-index';
import { removeUnfinished, unfinished, writeJson } from '../store/files';
import {
  formatVersion,
  groupMetadata,
  indexFile,
  type SplitName,
  splitNames,
  type VolumeRecord,
} from '../store/format';
import { ImageWriter } from '../store/image-writer';
import { checkPlace, type VolumePlace } from '../volume';
import { encodeVoxels, slabsInOrder, type VolumeSlab, type WriteOptions } from '../write';
import { lockStore } from './lock';
import { patientByName } from './patients';
import { replaceFolder, sourceRecord } from './prepare-volume';
import { plainName } from './sources';

export interface DatasetVolumeOptions extends Pick<WriteOptions, 'dtype' | 'slope' | 'intercept' | 'signal'> {
  /** Its name in the dataset; default: made of `source`. A volume of that name is replaced. */
  readonly name?: string;
  /** The file it comes from, or how it was made. Of a file that is there, size, time and SHA-256 are kept. */
  readonly source?: string;
  /** Default: by the source's name, as `prepareDataset` has it. */
  readonly patient?: string;
  /** Default: the patient's side, for a patient is on one side only; `test` for a new patient. */
  readonly split?: SplitName;
  /** How values become the model's; default 'auto'. */
  readonly intensity?: IntensitySpec;
  /** It is what a model made: no run is trained or measured on it. Default false. */
  readonly blended?: boolean;
}

/**
 * Adds a volume that comes slab by slab to a dataset, or begins one with it. Memory is that of a layer of chunks (32
 * planes) beside a slab; the volume appears whole or not at all, and what a killed call left the next one removes.
 *
 * @param dir the dataset's folder
 * @param slabs in ascending z, as `blendSlabs` gives them with `ordered`; a slab's array is not kept
 * @returns the volume's name
 * @throws InvalidArgument for wrong options, values that the type cannot hold, slabs that are not the volume's, and a
 *   folder that somebody else writes to or that holds another kind of dataset
 */
export async function writeDatasetVolume(
  dir: string,
  place: VolumePlace,
  slabs: AsyncIterable<VolumeSlab> | Iterable<VolumeSlab>,
  options: DatasetVolumeOptions = {},
): Promise<string> {
  options.signal?.throwIfAborted();
  const { source = 'volume', intensity = 'auto' } = options;
  const head = headOf(place, options);
  const name = options.name ?? plainName(basename(source));
  if (!/^[\w-][\w.-]*$/.test(name))
    throw new InvalidArgument('name', 'letters, digits, - and . (not first)', name);
  const patient = options.patient ?? patientByName(basename(source));
  resolveIntensity(intensity, { data: new Float32Array(1) });
  if (existsSync(join(dir, indexFile)) && !indexBefore(dir))
    throw new InvalidArgument('dir', `a dataset of version ${formatVersion}, or none`, dir);
  if (isUnfinished(dir) && !indexBefore(dir))
    throw new InvalidArgument('dir', `a dataset with its ${indexFile}; prepare it again, to the end`, dir);
  writeTo('dir', dir, () => makeFolder(dir));
  const unlock = await lockStore(dir);
  const temporary = unfinished(join(dir, name));
  try {
    const split = sideOf(dir, name, patient, options.split);
    removeUnfinished(dir);
    const { image, range } = await writeSlabs(join(temporary, 'image'), head, slabs, options);
    const record: VolumeRecord = {
      source: await recordOf(source),
      settings: { format: formatVersion, canonical: false, spacing: null, baseline: null, antialias: true },
      range,
      intensity: resolveIntensity(intensity, { data: Float32Array.from(range) }),
      image,
      baseline: null,
    };
    writeJson(join(temporary, 'zarr.json'), groupMetadata(record));
    if (existsSync(join(dir, name))) setIndexAside(dir);
    replaceFolder(temporary, join(dir, name));
    writeEntry(dir, { name, patient, split, ...record, added: options.blended ? 'blended' : 'given' });
    return name;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    unlock();
  }
}

function sideOf(dir: string, name: string, patient: string, wanted: SplitName | undefined): SplitName {
  if (wanted !== undefined && !splitNames.includes(wanted))
    throw new InvalidArgument('split', 'a side', wanted, splitNames);
  const before = indexBefore(dir);
  const others = before?.volumes.filter((volume) => volume.name !== name && volume.added !== 'blended') ?? [];
  const side = others.find((volume) => volume.patient === patient)?.split;
  if (wanted && side && wanted !== side)
    throw new InvalidArgument('split', `${side}, where patient ${patient} is`, wanted);
  return wanted ?? side ?? knownSide(before, patient) ?? 'test';
}

type Head = Parameters<typeof ImageWriter.open>[1];

function headOf({ shape, spacing, affine }: VolumePlace, options: DatasetVolumeOptions): Head {
  const { dtype: type = 'float32', slope = 1, intercept = 0 } = options;
  if (!storedTypes.includes(type)) throw new InvalidArgument('dtype', 'a data type', type, storedTypes);
  if (!(Number.isFinite(slope) && slope !== 0)) throw new InvalidArgument('slope', 'finite, not 0', slope);
  if (!Number.isFinite(intercept)) throw new InvalidArgument('intercept', 'a finite number', intercept);
  checkPlace(spacing, affine);
  return { shape, spacing, affine, type, slope, intercept };
}

/** Writes slabs as the layers of an image, and keeps the least and greatest value. */
async function writeSlabs(
  folder: string,
  head: Head,
  slabs: AsyncIterable<VolumeSlab> | Iterable<VolumeSlab>,
  { signal }: DatasetVolumeOptions,
): Promise<{ image: VolumeRecord['image']; range: readonly [number, number] }> {
  const { shape, type, slope, intercept } = head;
  const plane = shape[0] * shape[1];
  const writer = await ImageWriter.open(folder, head);
  const layer = allocate(type, writer.layerDepth * plane);
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let filled = 0;
  let done = 0;
  const flush = async (): Promise<void> => {
    const voxels: VoxelArray = layer.subarray(0, filled);
    const range = finiteRange(voxels);
    const ends = range ? range.map((stored) => Math.fround(stored * slope + intercept)) : [];
    least = Math.min(least, ...ends);
    greatest = Math.max(greatest, ...ends);
    await writer.addLayer(voxels);
    filled = 0;
  };
  try {
    for await (const { data } of slabsInOrder(shape, slabs)) {
      for (let at = 0; at < data.length; ) {
        signal?.throwIfAborted();
        const values = data.subarray(at, at + layer.length - filled);
        layer.set(encodeVoxels(values, type, slope, intercept, done, shape), filled);
        filled += values.length;
        done += values.length;
        at += values.length;
        if (filled === layer.length) await flush();
      }
    }
    if (filled > 0) await flush();
    return { image: writer.finish(), range: least <= greatest ? [least, greatest] : [0, 0] };
  } finally {
    writer.close();
  }
}

/** Of what is no file there is only the name. */
async function recordOf(source: string): Promise<VolumeRecord['source']> {
  const isFile = statSync(source, { throwIfNoEntry: false })?.isFile() ?? false;
  if (isFile)
    return sourceRecord({ path: source, file: basename(source), name: plainName(basename(source)) });
  return { file: source, bytes: 0, modified: 0, sha256: '' };
}
