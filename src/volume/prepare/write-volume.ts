import { existsSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { writeTo } from '../../atomic-file';
import { InvalidArgument } from '../../errors';
import { makeFolder } from '../../make-folder';
import { type IntensitySpec, resolveIntensity, valueRange } from '../intensity';
import { patientByName } from '../patient-name';
import { indexBefore, isUnfinished, knownSides, setIndexAside, writeEntry } from '../store/dataset-index';
import { finish, removeUnfinished, unfinished, writeJson } from '../store/files';
import {
  formatVersion,
  groupMetadata,
  indexFile,
  type SplitName,
  splitNames,
  type VolumeRecord,
} from '../store/format';
import { writeImage } from '../store/image-writer';
import { checkPlace, type VolumePlace } from '../volume';
import { encodeVoxels, piecesOf, type Slab, slabsInOrder, storageOf, type WriteOptions } from '../write';
import { lockStore } from './lock';
import { replaceFolder, sourceRecord } from './one-volume';
import { isReservedName, plainName } from './sources';

/** A file system takes 143 bytes at least; the unfinished folder has a longer name. */
const longestName = 128;

export interface DatasetVolumeOptions extends Pick<WriteOptions, 'dtype' | 'slope' | 'intercept' | 'signal'> {
  /** Its name in the dataset; default: made from `source`. It replaces a volume of the same name. */
  readonly name?: string;
  /** The file it comes from, or how it was made. The dataset stores the size, time and SHA-256 of an existing file. */
  readonly source?: string;
  /** Default: by the source's name, as in `prepareDataset`. */
  readonly patient?: string;
  /** Default: the patient's side, or `test` for a new patient. A patient is on one side only. */
  readonly split?: SplitName;
  /** Maps values to the model's values; default 'auto'. */
  readonly intensity?: IntensitySpec;
  /** Whether a model made it. No run trains on it or measures it. Default false. */
  readonly blended?: boolean;
}

/**
 * Adds a volume slab by slab to a dataset, or creates a dataset with it. Memory is a slab and a layer of chunks (32
 * planes). The volume appears whole or not at all, and the next call removes what a killed call left.
 *
 * @param dir the dataset's folder
 * @param slabs in ascending z, as from `blendSlabs` with `ordered`; you may reuse a slab's array after yielding it
 * @returns the volume's name
 * @throws InvalidArgument for wrong options, values that the type cannot hold, slabs that do not make the volume, and a
 *   folder that another call writes to or that holds another kind of dataset
 */
export async function writeDatasetVolume(
  dir: string,
  place: VolumePlace,
  slabs: AsyncIterable<Slab> | Iterable<Slab>,
  options: DatasetVolumeOptions = {},
): Promise<string> {
  options.signal?.throwIfAborted();
  const { source = 'volume', intensity = 'auto' } = options;
  const storage = storageOf(options);
  const { dtype: type, slope, intercept } = storage;
  const { shape, spacing, affine } = place;
  checkPlace(spacing, affine);
  const name = options.name ?? plainName(basename(source));
  if (!/^[\w-](?:[\w.-]*[\w-])?$/.test(name) || isReservedName(name) || name.length > longestName) {
    const expected = `letters, digits, - and . (not first or last), at most ${longestName}, not zarr.json or ${indexFile}`;
    throw new InvalidArgument('name', expected, name);
  }
  const patient = options.patient ?? patientByName(basename(source));
  resolveIntensity(intensity, { data: new Float32Array(1) });
  if (existsSync(join(dir, indexFile)) && !indexBefore(dir))
    throw new InvalidArgument('dir', `a dataset of version ${formatVersion}, or none`, dir);
  if (isUnfinished(dir) && !indexBefore(dir))
    throw new InvalidArgument('dir', `a dataset with its ${indexFile}; ${finish(dir)}`, dir);
  writeTo('dir', dir, () => makeFolder(dir));
  const unlock = await lockStore(dir);
  const temporary = unfinished(join(dir, name));
  try {
    const split = sideOf(dir, patient, options.split);
    removeUnfinished(dir);
    let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    const stored = async function* () {
      let done = 0;
      for await (const { data } of slabsInOrder(shape, slabs))
        for (const values of piecesOf(data)) {
          options.signal?.throwIfAborted();
          const voxels = encodeVoxels(values, storage, done, shape);
          const ends = valueRange(voxels, storage) ?? [];
          least = Math.min(least, ...ends);
          greatest = Math.max(greatest, ...ends);
          yield voxels;
          done += values.length;
        }
    };
    const head = { shape, spacing, affine, type, slope, intercept };
    const image = await writeImage(join(temporary, 'image'), head, stored());
    const range = least <= greatest ? ([least, greatest] as const) : ([0, 0] as const);
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

function sideOf(dir: string, patient: string, wanted: SplitName | undefined): SplitName {
  if (wanted !== undefined && !splitNames.includes(wanted))
    throw new InvalidArgument('split', 'a side', wanted, splitNames);
  const before = indexBefore(dir);
  const side = new Map(knownSides(before)).get(patient);
  if (wanted && side && wanted !== side)
    throw new InvalidArgument('split', `${side}, the side of patient ${patient}`, wanted);
  return wanted ?? side ?? 'test';
}

/** The record of the source. A source that is not a file has a name only. */
async function recordOf(source: string): Promise<VolumeRecord['source']> {
  const isFile = statSync(source, { throwIfNoEntry: false })?.isFile() ?? false;
  if (isFile) return sourceRecord({ path: source, file: basename(source) });
  return { file: source, bytes: 0, modified: 0, sha256: '' };
}
