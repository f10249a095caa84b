/** Copies of a volume at some resolution, with their voxels, and how they are unpacked. */
import { type Level, NO_VALUE, type StoredLevel } from '../../../../src/volumes-bundle';
import { apply, invert, type Point } from './affine';

/** A level whose voxels have come. */
export interface Copy extends Level {
  readonly stored: Int16Array;
}

/** One volume's copies: the whole, and a part of it at full resolution. */
export interface CopiesOf {
  readonly whole: Copy;
  readonly part?: Copy;
}

/** The numbers of gzipped chunks, joined. */
export async function unpack(chunks: readonly Uint8Array[], length: number): Promise<Int16Array> {
  const numbers = new Int16Array(length);
  const bytes = new Uint8Array(numbers.buffer);
  let at = 0;
  for (const chunk of chunks) at += await unpackInto(bytes.subarray(at), chunk);
  if (at !== bytes.length) throw new Error(`${at} bytes came of ${bytes.length}`);
  return numbers;
}

/** Unzips a chunk to the start of `bytes`. Returns how many bytes it was. */
export async function unpackInto(bytes: Uint8Array, chunk: Uint8Array): Promise<number> {
  const stream = new Blob([chunk as BlobPart]).stream().pipeThrough(new DecompressionStream('gzip'));
  const reader = stream.getReader();
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return at;
    if (at + value.length > bytes.length) throw new Error('more voxels came than the level has');
    bytes.set(value, at);
    at += value.length;
  }
}

export async function readStored({ data, ...level }: StoredLevel): Promise<Copy> {
  const [x, y, z] = level.shape;
  const packed = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return { ...level, stored: await unpack([packed], x * y * z) };
}

/** The value of the voxel nearest to a point of the world; undefined outside, or where there is no finite value. */
export function valueAt(copy: Copy, world: Point): number | undefined {
  const voxel = apply(invert(copy.affine), world).map(Math.round) as [number, number, number];
  if (voxel.some((index, axis) => index < 0 || index >= copy.shape[axis]!)) return undefined;
  const stored = copy.stored[voxel[0] + copy.shape[0] * (voxel[1] + copy.shape[1] * voxel[2])]!;
  return stored === NO_VALUE ? undefined : copy.slope * stored + copy.intercept;
}
