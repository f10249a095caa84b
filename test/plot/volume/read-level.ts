import { gunzipSync } from 'node:zlib';
import { type Level, NO_VALUE, type StoredLevel } from '../../../src/volumes-bundle';

/** The values of a level, as its page reads them. Written here again, so that nothing of the library checks itself. */
export function valuesOf(level: StoredLevel): number[] {
  return readValues(level, [Buffer.from(level.data, 'base64')]);
}

/** The values of a level whose chunks came one by one. */
export function readValues({ slope, intercept }: Level, chunks: readonly Uint8Array[]): number[] {
  const bytes = Buffer.concat(chunks.map((chunk) => gunzipSync(chunk)));
  return Array.from({ length: bytes.length / 2 }, (_, n) => {
    const stored = bytes.readInt16LE(2 * n);
    return stored === NO_VALUE ? Number.NaN : slope * stored + intercept;
  });
}

/** The world position of a voxel, by the rows of an affine. */
export function worldOf(affine: readonly number[], voxel: readonly number[]): number[] {
  return [0, 1, 2].map(
    (row) =>
      affine[4 * row]! * voxel[0]! +
      affine[4 * row + 1]! * voxel[1]! +
      affine[4 * row + 2]! * voxel[2]! +
      affine[4 * row + 3]!,
  );
}
