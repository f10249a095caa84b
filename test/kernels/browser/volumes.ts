import { gzipSync } from 'node:zlib';
import type { Level, ShownLevelled, StoredLevel, VolumesBundle } from '../../../src/volumes-bundle';

export type Three = readonly [number, number, number];
type Values = (x: number, y: number, z: number) => number;

/** The int16 numbers of a volume, x fastest. */
export function storedOf(shape: Three, values: Values): Int16Array {
  const stored = new Int16Array(shape[0] * shape[1] * shape[2]);
  let at = 0;
  for (let z = 0; z < shape[2]; z++)
    for (let y = 0; y < shape[1]; y++) for (let x = 0; x < shape[0]; x++) stored[at++] = values(x, y, z);
  return stored;
}

export function packed(stored: Int16Array): Buffer {
  return gzipSync(Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength));
}

/** From voxel to mm with a spacing and a turn about z, in degrees, and x and y that run to the left and back. */
export function affineOf([sx, sy, sz]: Three, turn = 0): number[] {
  const [cos, sin] = [Math.cos((turn * Math.PI) / 180), Math.sin((turn * Math.PI) / 180)];
  return [-cos * sx, sin * sy, 0, 40, -sin * sx, -cos * sy, 0, 30, 0, 0, sz, -20, 0, 0, 0, 1];
}

/** A copy with voxels `factor` times as large. */
export function coarser(
  shape: Three,
  affine: readonly number[],
  values: Values,
  factor: number,
): StoredLevel {
  const few = shape.map((count) => Math.ceil(count / factor)) as unknown as Three;
  const shift = (factor - 1) / 2;
  const level: Level = {
    shape: few,
    affine: affine.map((value, at) => {
      if (at >= 12) return value;
      if (at % 4 < 3) return value * factor;
      const [a, b, c] = affine.slice(at - 3, at) as [number, number, number];
      return value + shift * (a + b + c);
    }),
    slope: 1,
    intercept: 0,
  };
  const stored = storedOf(few, (x, y, z) =>
    Math.round(values(x * factor + shift, y * factor + shift, z * factor + shift)),
  );
  return { ...level, data: packed(stored).toString('base64') };
}

export function shownVolume(
  name: string,
  shape: Three,
  affine: readonly number[],
  values: Values,
  factor = 1,
): ShownLevelled {
  return { name, shape, affine, preview: coarser(shape, affine, values, factor) };
}

export function bundleOf(
  volumes: readonly ShownLevelled[],
  more: Partial<VolumesBundle> = {},
): VolumesBundle {
  const [first] = volumes as [ShownLevelled];
  return {
    title: 'A test',
    kind: volumes.length > 1 ? 'comparison' : 'volume',
    volumes,
    units: 'HU',
    windows: [
      { label: 'all', low: 0, high: 255 },
      { label: 'dark', low: 0, high: 100 },
    ],
    at: first.shape.map((count) => Math.floor(count / 2)) as unknown as Three,
    ...more,
  };
}
