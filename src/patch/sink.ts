import { join } from 'node:path';
import { InvalidArgument } from '../errors';
import { withoutUndefined } from '../setting';
import { type DatasetVolumeOptions, writeDatasetVolume } from '../volume/prepare/write-volume';
import type { VolumePlace } from '../volume/volume';
import { type Slab, type WriteOptions, writeSlabs } from '../volume/write';

/** A NIfTI file to write, and how its voxels are stored. */
export interface FileSink extends Omit<WriteOptions, 'signal' | 'onProgress'> {
  /** A path that ends in .nii, .nii.gz, .hdr or .img. */
  readonly file: string;
}

/** A dataset to add a volume to, and the volume's description there. */
export interface DatasetSink extends Omit<DatasetVolumeOptions, 'signal'> {
  /** Its folder. */
  readonly dataset: string;
}

/** Where slabs go as they are finished. A string is a NIfTI file if it ends like one, otherwise a dataset's folder. */
export type Sink = string | FileSink | DatasetSink;

/** Where a sink has put a volume. */
export interface Written {
  /** The file, or the volume's folder in the dataset. */
  readonly path: string;
  /** Its name in the dataset. */
  readonly name?: string;
}

const niftiNames = /\.(nii|hdr|img)(\.gz)?$/i;

/** Nobody means a dataset by one of these names. */
const otherFormats = /\.(mha|mhd|nrrd|nhdr|mnc|mgz|dcm|h5|npy|npz|txt|json|csv|png|jpe?g|tiff?|zip|tar|gz)$/i;

/**
 * Writes slabs in ascending z, in the memory of one slab. The volume appears complete or not at all. `known`
 * describes the volume in a dataset unless the sink does. Errors are those of `writeSlabs` and `writeDatasetVolume`.
 */
export async function writeTo(
  to: Sink,
  like: VolumePlace,
  slabs: AsyncIterable<Slab> | Iterable<Slab>,
  known: Pick<DatasetVolumeOptions, 'name' | 'source' | 'intensity' | 'signal'> = {},
): Promise<Written> {
  const sink = sinkOf(to);
  const { signal } = known;
  if ('file' in sink) {
    const { file, ...how } = sink;
    await writeSlabs(file, like, slabs, { ...how, signal });
    return { path: file };
  }
  const { dataset, ...how } = sink;
  const name = await writeDatasetVolume(dataset, like, slabs, {
    ...known,
    blended: true,
    ...withoutUndefined(how),
  });
  return { path: join(dataset, name), name };
}

/** The file or dataset that a sink is. @throws InvalidArgument for the name of a file of another format */
export function sinkOf(to: Sink): FileSink | DatasetSink {
  if (typeof to !== 'string') return to;
  if (niftiNames.test(to)) return { file: to };
  if (!otherFormats.test(to)) return { dataset: to };
  throw new InvalidArgument('to', 'a .nii or .nii.gz file, or the folder of a dataset', to);
}
