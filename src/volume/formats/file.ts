import { existsSync, readSync, statSync } from 'node:fs';
import { withFile } from '../../atomic-file';
import { attempt, UnreadableFile } from '../../errors';
import { ByteReader } from './bytes';
import { isMetaImage, parseMetaImage } from './metaimage';
import { imageAlone, isTextHeaderName, isUnfinishedName, pairPaths, unfinishedFile } from './names';
import { readNifti } from './nifti';
import { nifti2Bytes } from './nifti-bytes';
import { isNrrd, parseNrrd } from './nrrd';
import type { VolumeFile } from './voxel-place';

/** Enough for nearly all headers of text, and the most that one may have: it may list thousands of files. */
const textLengths = [2 ** 16, 2 ** 23] as const;

/**
 * Reads the header of a volume file, whose content tells the format. Throws UnreadableFile if the file is no volume, or
 * its header contradicts itself.
 */
export async function readVolumeFile(path: string, signal?: AbortSignal): Promise<VolumeFile> {
  if (isUnfinishedName(path) && existsSync(path)) throw new UnreadableFile(path, 'a volume', unfinishedFile);
  const pair = pairPaths(path);
  if (pair && pair.header !== path && !existsSync(pair.header) && existsSync(path))
    throw new UnreadableFile(path, 'a volume', imageAlone);
  const reader = await ByteReader.open(pair?.header ?? path, signal);
  try {
    const buffer = new Uint8Array(nifti2Bytes);
    const start = buffer.subarray(0, await reader.read(buffer));
    const text = latin1(start);
    return isText(text, path) ? await readText(reader, text) : await readNifti(reader, start, pair);
  } finally {
    await reader.close();
  }
}

/** Reads a header of text, whose first characters are read already. */
async function readText(reader: ByteReader, start: string): Promise<VolumeFile> {
  const { path, fileBytes, packed } = reader;
  if (packed) {
    const found = 'all of it gzipped; unpack it with `gunzip`';
    throw new UnreadableFile(path, 'MetaImage or NRRD, whose header is plain text', found);
  }
  let text = start;
  for (const most of textLengths) {
    const bytes = new Uint8Array(Math.max(0, Math.min(most, fileBytes) - text.length));
    text += latin1(bytes.subarray(0, await reader.read(bytes)));
    const file = parseText(text, path, text.length >= fileBytes);
    if (file) return file;
  }
  throw new UnreadableFile(path, 'the whole header of MetaImage or NRRD', 'a file that ends before');
}

function isText(start: string, path: string): boolean {
  return isNrrd(start) || isMetaImage(start, path);
}

function parseText(text: string, path: string, isWhole: boolean): VolumeFile | undefined {
  return isNrrd(text) ? parseNrrd(text, path, isWhole) : parseMetaImage(text, path);
}

/** A file, and the files with voxels that its header names, if it names any. */
export function filesOfVolume(path: string): readonly string[] {
  // Reading a pipe would wait for its writer.
  if (!isTextHeaderName(path) || !attempt(() => statSync(path))?.isFile()) return [path];
  const files = attempt(() => headFiles(path)) ?? [];
  return [path, ...files.filter((file) => file !== path)];
}

function headFiles(path: string): readonly string[] | undefined {
  for (const length of textLengths) {
    const bytes = new Uint8Array(length);
    const read = withFile(path, 'r', (file) => readSync(file, bytes, 0, length, 0));
    const file = parseText(latin1(bytes.subarray(0, read)), path, read < length);
    if (file || read < length) return file?.voxels().files;
  }
  return undefined;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
