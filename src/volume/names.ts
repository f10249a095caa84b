import { access } from 'node:fs/promises';
import { UnreadableFile } from '../errors';

/** Compressed files that count as volumes by name. Only gzip can be read; for the others, reading names the cure. */
const packing = '(?:\\.(?:gz|zst|bz2|xz|lz4|zip|7z))?';
const volumeName = new RegExp(`\\.(?:nii|hdr)${packing}$`, 'i');

/** Whether a file has the name of a volume: .nii, or the .hdr of a pair, compressed or not. */
export function isVolumeName(name: string): boolean {
  return volumeName.test(name);
}

/** A path without a volume's extension. */
export function volumeStem(path: string): string {
  return path.replace(/\.(nii|hdr|img)(\.gz)?$/i, '');
}

/** The files of an .hdr + .img pair. `images` lists possible images; the first has the header's compression. */
export interface PairPaths {
  readonly header: string;
  readonly images: readonly string[];
}

/** The pair of a path that ends in .hdr or .img, with or without .gz; undefined for other names. */
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

/** The file with a pair's voxels. Throws UnreadableFile if that file or the pair does not exist. */
export async function imagePath(path: string, pair: PairPaths | undefined): Promise<string> {
  for (const image of pair?.images ?? []) if (await exists(image)) return image;
  if (pair) throw new UnreadableFile(path, `its voxels in ${pair.images.join(' or ')}`, 'neither');
  throw new UnreadableFile(path, 'voxels after the header', 'the header of an .hdr + .img pair');
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
