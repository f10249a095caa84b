import { InvalidArgument } from '../errors';
import { memoryOf } from '../memory/voxel-memory';
import { type Axis, eachAxis, type Vec3 } from '../vec3';
import type { VoxelArray } from '../volume/base/datatypes';
import { type Grid, patchStart } from './grid';

/** What fills a patch outside the volume: the border voxel, the mirror image (border not repeated), the other end, or a constant. */
export type PadMode = 'edge' | 'reflect' | 'wrap' | 'constant';

/** Voxels to read a patch from; other types than float32 are converted on the way. */
export type VoxelSource = VoxelArray;

export interface ExtractOptions {
  /** Values of a voxel, running fastest; default 1. */
  readonly channels?: number;
  /** Default `edge`. */
  readonly pad?: PadMode;
  /** The value of `pad: 'constant'`; default 0. */
  readonly padValue?: number;
}

/**
 * Copies a patch out of a volume.
 *
 * @param data the volume, `[z, y, x, channels]`, x (then channels) running fastest
 * @param out where to put the patch; default: a new array
 * @returns the patch, `[pz, py, px, channels]`
 */
export function extractPatch(
  data: VoxelSource,
  grid: Grid,
  index: number,
  out?: Float32Array,
  options: ExtractOptions = {},
): Float32Array {
  const { channels = 1, pad = 'edge', padValue = 0 } = options;
  const [vx, vy, vz] = grid.volume;
  const [px, py, pz] = grid.patch;
  expectLength('data', data, vx * vy * vz * channels, 'the volume of the grid');
  const patch = out ?? new Float32Array(px * py * pz * channels);
  expectLength('out', patch, px * py * pz * channels, 'a patch of the grid');

  const start = patchStart(grid, index);
  const inside = eachAxis((axis) => clip(grid, axis, start[axis]));
  const whole = inside.every(([from, to], axis) => from === 0 && to === grid.patch[axis]);
  if (whole && copiedInMemory(data, patch, grid, start, channels)) return patch;
  const source = eachAxis((axis) => sourceVoxels(grid, axis, start[axis], pad));
  const row = px * channels;
  const [x0, x1] = inside[0];
  const copyRow = rowCopier(data, patch);
  const padVoxel = (from: number, to: number, x: number): void => {
    const voxel = source[0][x]!;
    for (let c = 0; c < channels; c++)
      patch[to + x * channels + c] = voxel < 0 ? padValue : data[(from + voxel) * channels + c]!;
  };
  for (let z = 0, to = 0; z < pz; z++) {
    for (let y = 0; y < py; y++, to += row) {
      const sy = source[1][y]!;
      const sz = source[2][z]!;
      if (sy < 0 || sz < 0) {
        patch.fill(padValue, to, to + row);
        continue;
      }
      const from = (sz * vy + sy) * vx;
      const first = from + start[0] + x0;
      copyRow(first * channels, to + x0 * channels, (x1 - x0) * channels);
      for (let x = 0; x < x0; x++) padVoxel(from, to, x);
      for (let x = x1; x < px; x++) padVoxel(from, to, x);
    }
  }
  return patch;
}

/** The copying function of simd/index.ts. Addresses, distances and the length of a row are in bytes. */
interface CopyLoops {
  copyBox(
    to: number,
    toRow: number,
    toPlane: number,
    from: number,
    fromRow: number,
    fromPlane: number,
    bytes: number,
    rows: number,
    planes: number,
  ): void;
}

/** WebAssembly copies within one `VoxelMemory`: rows are short, and one call for each costs JavaScript more than the copy. */
function copiedInMemory(
  data: VoxelSource,
  patch: Float32Array,
  { volume, patch: size }: Grid,
  [x, y, z]: Vec3,
  channels: number,
): boolean {
  const memory = memoryOf(data);
  if (!memory || memory !== memoryOf(patch) || !(data instanceof Float32Array)) return false;
  const voxel = 4 * channels;
  const [row, plane] = [volume[0] * voxel, volume[0] * volume[1] * voxel];
  const [patchRow, patchPlane] = [size[0] * voxel, size[0] * size[1] * voxel];
  const from = data.byteOffset + z * plane + y * row + x * voxel;
  const { copyBox } = memory.loops<CopyLoops>('patch');
  copyBox(patch.byteOffset, patchRow, patchPlane, from, row, plane, patchRow, size[1], size[2]);
  return true;
}

/** All patches of a volume in the grid's order, as `blendSlabs` takes them. */
export function* extractPatches(
  data: VoxelSource,
  grid: Grid,
  options: ExtractOptions = {},
): Generator<{ readonly index: number; readonly data: Float32Array }, void, undefined> {
  for (let index = 0; index < grid.patches; index++) {
    yield { index, data: extractPatch(data, grid, index, undefined, options) };
  }
}

/** The voxels of a patch that lie inside the volume along an axis, [first, end) counted in the patch. */
export function clip(grid: Grid, axis: Axis, start: number): readonly [number, number] {
  return [Math.max(0, -start), Math.min(grid.patch[axis], grid.volume[axis] - start)];
}

/** For each voxel of a patch along an axis the voxel of the volume to read, -1 for the padding value. */
function sourceVoxels(grid: Grid, axis: Axis, start: number, pad: PadMode): Int32Array {
  const size = grid.volume[axis];
  const map = PAD_MAPS[pad];
  if (map === undefined) throw new InvalidArgument('pad', 'a padding mode', pad, Object.keys(PAD_MAPS));
  return Int32Array.from({ length: grid.patch[axis] }, (_, i) => {
    const voxel = start + i;
    return voxel >= 0 && voxel < size ? voxel : map(voxel, size);
  });
}

const PAD_MAPS: Record<PadMode, (voxel: number, size: number) => number> = {
  edge: (voxel, size) => Math.min(Math.max(voxel, 0), size - 1),
  reflect: (voxel, size) => {
    const period = Math.max(1, 2 * (size - 1));
    const phase = modulo(voxel, period);
    return Math.min(phase, period - phase) % size;
  },
  wrap: (voxel, size) => modulo(voxel, size),
  constant: () => -1,
};

function modulo(value: number, period: number): number {
  return ((value % period) + period) % period;
}

/**
 * Copies `length` values between two places. Rows are short, and making a subarray of each costs twice the copy. If both
 * ends are aligned, a plain loop copies two float32 at a time as the bits of one float64.
 */
function rowCopier(data: VoxelSource, patch: Float32Array) {
  const source = data instanceof Float32Array ? pairs(data) : undefined;
  const target = pairs(patch);
  return (from: number, to: number, length: number): void => {
    if (source && target && from % 2 === 0 && to % 2 === 0 && length % 8 === 0)
      copyPairs(source, from / 2, target, to / 2, length / 2);
    else patch.set(data.subarray(from, from + length), to);
  };
}

function pairs(data: Float32Array): Float64Array | undefined {
  if (data.byteOffset % 8 !== 0) return undefined;
  return new Float64Array(data.buffer, data.byteOffset, data.length >> 1);
}

/** Copies four at a time; `length` is a multiple of four. */
function copyPairs(
  source: Float64Array,
  from: number,
  target: Float64Array,
  to: number,
  length: number,
): void {
  for (let i = 0; i < length; i += 4) {
    target[to + i] = source[from + i]!;
    target[to + i + 1] = source[from + i + 1]!;
    target[to + i + 2] = source[from + i + 2]!;
    target[to + i + 3] = source[from + i + 3]!;
  }
}

export function expectLength(
  argument: string,
  array: { readonly length: number },
  length: number,
  of: string,
): void {
  if (array.length === length) return;
  throw new InvalidArgument(argument, `${length} values, ${of}`, `${array.length} values`);
}
