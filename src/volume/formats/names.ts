import { existsSync } from 'node:fs';
import { UnreadableFile } from '../../errors';

/** Compressed files that count as volumes by name. Only gzip can be read; for the others, reading names the cure. */
const packing = '(?:\\.(?:gz|zst|bz2|xz|lz4|zip|7z))?';
const volumeName = new RegExp(`\\.(?:nii|hdr|mha|mhd|nrrd|nhdr)${packing}$`, 'i');

/** Whether a file has the name of a volume, or of the header of one, compressed or not. */
export function isVolumeName(name: string): boolean {
  return volumeName.test(name);
}

/** Whether a browser or a copying program names a file so until all of it is there. */
export function isUnfinishedName(name: string): boolean {
  const [, whole] = /^(.*)\.(?:part|partial|filepart|crdownload|download)$/i.exec(name) ?? [];
  return whole !== undefined && isVolumeName(whole);
}

/** A path without a volume's extension. */
export function volumeStem(path: string): string {
  return path.replace(/\.(nii|hdr|img|mha|mhd|nrrd|nhdr)(\.gz)?$/i, '');
}

/** Whether a file has the name of MetaImage or NRRD: a header of text, with its voxels or apart from them. */
export function isTextHeaderName(name: string): boolean {
  return /\.(mha|mhd|nrrd|nhdr)$/i.test(name);
}

/** Whether a file has the name of voxels that lie apart from a header of text. */
export function isRawName(name: string): boolean {
  return /\.z?raw$/i.test(name);
}

/** What names alone tell, in the words of folders and of readers. */
export const unfinishedFile = 'a download or copy that has not ended';
export const imageAlone = 'an image without its header (.hdr)';
export const rawAlone = 'voxels without a header; give the .mhd or .nhdr file that describes them';

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
  const [hdr, img] = kind === kind!.toUpperCase() ? ['HDR', 'IMG'] : ['hdr', 'img'];
  const images = [gz, gz ? '' : '.gz'].map((end) => `${stem}.${img}${end}`);
  return { header: `${stem}.${hdr}${gz}`, images };
}

/** The file with a pair's voxels. Throws UnreadableFile if that file or the pair does not exist. */
export function imagePath(path: string, pair: PairPaths | undefined): string {
  if (!pair) throw new UnreadableFile(path, 'voxels after the header', 'the header of an .hdr + .img pair');
  const image = pair.images.find((file) => existsSync(file));
  if (image !== undefined) return image;
  throw new UnreadableFile(path, `its voxels in ${pair.images.join(' or ')}`, 'neither');
}
