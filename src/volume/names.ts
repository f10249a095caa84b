import { access } from 'node:fs/promises';
import { UnreadableFile } from '../errors';

/** Packings whose files are named as volumes are. Only gzip can be read; of the others, reading says what they are. */
const packing = '(?:\\.(?:gz|zst|bz2|xz|lz4|zip|7z))?';
const volumeName = new RegExp(`\\.(?:nii|hdr)${packing}$`, 'i');

/** Whether a file is named as a volume is: .nii, or the .hdr of a pair, packed or not. */
export function isVolumeName(name: string): boolean {
  return volumeName.test(name);
}

/** A file's path without the extension of a volume. */
export function volumeStem(path: string): string {
  return path.replace(/\.(nii|hdr|img)(\.gz)?$/i, '');
}

/** The two files of an .hdr + .img pair; the image first as the header's name spells it. */
export interface PairPaths {
  readonly header: string;
  readonly images: readonly string[];
}

/** The pair that a path ending in .hdr or .img (or either with .gz) belongs to; undefined for other names. */
export function pairPaths(path: string): PairPaths | undefined {
  const match = /^(.*)\.(hdr|img)(\.gz)?$/i.exec(path);
  if (!match) return undefined;
  const [, stem, kind, gz = ''] = match;
  const upper = kind === kind!.toUpperCase();
  const named = (extension: string) => `${stem}.${upper ? extension.toUpperCase() : extension}`;
  return {
    header: named('hdr') + gz,
    images: [named('img') + gz, named('img') + (gz ? '' : '.gz')],
  };
}

/** The file with a pair's voxels. Throws UnreadableFile where there is none, or no pair. */
export async function imagePath(path: string, pair: PairPaths | undefined): Promise<string> {
  for (const image of pair?.images ?? []) if (await exists(image)) return image;
  if (pair) throw new UnreadableFile(path, `its voxels in ${pair.images.join(' or ')}`, 'neither');
  throw new UnreadableFile(path, 'voxels behind the header', 'the header of an .hdr + .img pair');
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
