/** Puts decoded slices where they lie in the patient: an upright, even grid that covers all of them. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { withPath } from '../../atomic-file';
import type { Vec3 } from '../../vec3';
import { type Affine, affineQuaternion } from '../base/affine';
import { dot, type Geometry } from './geometry';
import type { Place } from './header';

/** A stack of slices as NIfTI-1 in this machine's byte order: the voxels behind the header, rows from the last to the first. */
export interface Decoded {
  readonly path: string;
  readonly header: Buffer;
  readonly columns: number;
  readonly rows: number;
}

type Voxels = Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array;

const voxelTypes: Readonly<Record<number, new (length: number) => Voxels>> = {
  2: Uint8Array,
  4: Int16Array,
  8: Int32Array,
  16: Float32Array,
  512: Uint16Array,
  768: Uint32Array,
};

export const headerBytes = 352;
/** Voxels; slices that lie nearer to one line need no shift. */
const straight = 0.5;

/** How the slices become an even, upright grid. */
export interface Grid {
  readonly columns: number;
  readonly rows: number;
  readonly planes: number;
  readonly affine: Affine;
  /** Where the first voxel of each slice lies in its plane of the grid; undefined if no slice is shifted. */
  readonly shifts: readonly (readonly [x: number, y: number])[] | undefined;
}

/** The grid of a stack. Undefined if the slices are shifted so far that they are no stack. */
export function gridOf(geometry: Geometry, columns: number, rows: number): Grid | undefined {
  const { axes, positions, planes, spacing } = geometry;
  const [along, down, normal] = axes;
  // Rows are stored from the last to the first.
  const up: Place = [-down[0], -down[1], -down[2]];
  const first = positions[0]!;
  const all = positions.map((position) => {
    const from: Place = [position[0] - first[0], position[1] - first[1], position[2] - first[2]];
    return [dot(from, along) / spacing[0], dot(from, up) / spacing[1]] as const;
  });
  const least = [0, 1].map((axis) => Math.min(...all.map((shift) => shift[axis]!)));
  const most = [0, 1].map((axis) => Math.max(...all.map((shift) => shift[axis]!)));
  const isStraight = [0, 1].every((axis) => most[axis]! - least[axis]! <= 2 * straight);
  const origin = isStraight ? [(least[0]! + most[0]!) / 2, (least[1]! + most[1]!) / 2] : least;
  const shifts = isStraight ? undefined : all.map(([x, y]) => [x - least[0]!, y - least[1]!] as const);
  const wider = isStraight ? [0, 0] : [0, 1].map((axis) => Math.ceil(most[axis]! - least[axis]! - 0.01));
  if (wider[0]! > columns || wider[1]! > rows) return undefined;
  const count = Math.round(planes.at(-1)!);
  const step = geometry.extent / count;
  const rise = rows - 1 - origin[1]!;
  // LPS becomes RAS.
  const affine = [-1, -1, 1].flatMap((sign, row) => [
    sign * along[row]! * spacing[0],
    sign * up[row]! * spacing[1],
    sign * normal[row]! * step,
    sign * (first[row]! + along[row]! * spacing[0] * origin[0]! - up[row]! * spacing[1] * rise),
  ]);
  return {
    columns: columns + wider[0]!,
    rows: rows + wider[1]!,
    planes: count + 1,
    affine: [...affine, 0, 0, 0, 1],
    shifts,
  };
}

/**
 * Writes a stack's header as the grid says, and its voxels, interpolated where slices are missing, uneven or shifted.
 * Returns the file: the stack itself, or a new one at `target`.
 */
export function placeSlices(
  stack: Decoded,
  { planes }: Geometry,
  grid: Grid,
  phases: number,
  target: string,
): string {
  const header = headerOf(stack.header, grid, phases);
  const slices = planes.length;
  const isEven = grid.planes === slices && planes.every(Number.isInteger);
  const source = openSync(stack.path, 'r+');
  try {
    if (isEven && !grid.shifts) {
      writeSync(source, header, 0, header.length, 0);
      return stack.path;
    }
    const file = open(target);
    try {
      writeSync(file, header, 0, header.length, 0);
      new Interpolation(source, file, stack, grid).run(planes, phases);
    } catch (error) {
      throw withPath(error, target);
    } finally {
      closeSync(file);
    }
    return target;
  } finally {
    closeSync(source);
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    throw withPath(error, path);
  }
}

class Interpolation {
  private readonly type: new (
    length: number,
  ) => Voxels;
  private readonly inside: number;
  private readonly kept = new Map<number, Voxels>();
  private readonly fill: number;

  constructor(
    private readonly source: number,
    private readonly target: number,
    private readonly stack: Decoded,
    private readonly grid: Grid,
  ) {
    this.type = voxelTypes[stack.header.readInt16LE(70)]!;
    this.inside = stack.columns * stack.rows;
    this.fill = grid.shifts ? this.darkest(stack.header.readInt16LE(46)) : 0;
  }

  run(planes: readonly number[], phases: number): void {
    const { grid } = this;
    const result = new this.type(grid.columns * grid.rows);
    const bytes = Buffer.from(result.buffer);
    let at = headerBytes;
    for (let phase = 0; phase < phases; phase++) {
      const first = phase * planes.length;
      let below = 0;
      for (let plane = 0; plane < grid.planes; plane++) {
        while (below + 2 < planes.length && planes[below + 1]! <= plane) below++;
        const [from, to] = [planes[below]!, planes[below + 1]!];
        const weight = Math.min(1, (plane - from) / (to - from));
        if (weight === 0) result.set(this.slice(first, below));
        else if (weight === 1) result.set(this.slice(first, below + 1));
        else mix(this.slice(first, below), this.slice(first, below + 1), weight, result);
        for (let done = 0; done < bytes.length; ) {
          done += writeSync(this.target, bytes, done, bytes.length - done, at + done);
        }
        at += bytes.length;
      }
    }
  }

  /** A slice in its place on the grid. The last two are kept. */
  private slice(first: number, number: number): Voxels {
    const known = this.kept.get(first + number);
    if (known) return known;
    const stored = this.read(first + number);
    const shift = this.grid.shifts?.[number];
    const placed = shift ? this.shifted(stored, shift) : stored;
    if (this.kept.size > 1) this.kept.delete(Math.min(...this.kept.keys()));
    this.kept.set(first + number, placed);
    return placed;
  }

  private read(number: number): Voxels {
    const voxels = new this.type(this.inside);
    const bytes = new Uint8Array(voxels.buffer);
    const at = headerBytes + number * bytes.length;
    for (let done = 0, read = 1; done < bytes.length && read > 0; done += read)
      read = readSync(this.source, bytes, done, bytes.length - done, at + done);
    return voxels;
  }

  private darkest(slices: number): number {
    let least = Number.POSITIVE_INFINITY;
    for (let number = 0; number < slices; number++)
      for (const value of this.read(number)) if (value < least) least = value;
    return least;
  }

  /** A slice moved right and up by parts of voxels. Voxels of the grid that it does not reach get the darkest value. */
  private shifted(stored: Voxels, [right, rise]: readonly [number, number]): Voxels {
    const { stack, grid } = this;
    const result = new this.type(grid.columns * grid.rows).fill(this.fill);
    const [columns, rows] = [
      samples(stack.columns, grid.columns, right),
      samples(stack.rows, grid.rows, rise),
    ];
    const rounds = !(result instanceof Float32Array);
    for (const row of rows) {
      const [low, high] = [row.from * stack.columns, row.next * stack.columns];
      for (const column of columns) {
        const lower = lerp(stored[low + column.from]!, stored[low + column.next]!, column.weight);
        const upper = lerp(stored[high + column.from]!, stored[high + column.next]!, column.weight);
        const value = lerp(lower, upper, row.weight);
        result[row.at * grid.columns + column.at] = rounds ? Math.round(value) : value;
      }
    }
    return result;
  }
}

interface Sample {
  readonly at: number;
  readonly from: number;
  readonly next: number;
  readonly weight: number;
}

/** The voxels of a longer line that a shifted line reaches, to half a voxel, and of what they are made. */
function samples(length: number, longer: number, shift: number): Sample[] {
  return Array.from({ length: longer }, (_, at) => ({ at, place: at - shift }))
    .filter(({ place }) => place > -0.5 && place < length - 0.5)
    .map(({ at, place }) => {
      const from = Math.min(Math.max(Math.floor(place), 0), length - 1);
      const next = Math.min(from + 1, length - 1);
      return { at, from, next, weight: Math.min(Math.max(place - from, 0), 1) };
    });
}

function lerp(a: number, b: number, weight: number): number {
  return a + (b - a) * weight;
}

function mix(a: Voxels, b: Voxels, weight: number, result: Voxels): void {
  const rounds = !(result instanceof Float32Array);
  for (let n = 0; n < result.length; n++) {
    const value = lerp(a[n]!, b[n]!, weight);
    result[n] = rounds ? Math.round(value) : value;
  }
}

/** Texts of a NIfTI-1 header: data_type, db_name, descrip, aux_file, intent_name. */
const texts: readonly (readonly [at: number, length: number])[] = [
  [4, 10],
  [14, 18],
  [148, 80],
  [228, 24],
  [328, 16],
];

/** A header without texts, with the grid's size and place. */
function headerOf(decoded: Buffer, { columns, rows, planes, affine }: Grid, phases: number): Buffer {
  const header = Buffer.from(decoded);
  for (const [at, length] of texts) header.fill(0, at, at + length);
  const sizes = [phases > 1 ? 4 : 3, columns, rows, planes, phases, 1, 1, 1];
  for (const [axis, size] of sizes.entries()) header.writeInt16LE(size, 40 + 2 * axis);
  const spacing = [0, 1, 2].map((axis) =>
    Math.hypot(affine[axis]!, affine[axis + 4]!, affine[axis + 8]!),
  ) as unknown as Vec3;
  const { quaternion, qfac } = affineQuaternion(affine)!;
  for (const [n, value] of [qfac, ...spacing].entries()) header.writeFloatLE(value, 76 + 4 * n);
  header.writeInt16LE(1, 252);
  header.writeInt16LE(1, 254);
  const place = [...quaternion, affine[3]!, affine[7]!, affine[11]!, ...affine.slice(0, 12)];
  for (const [n, value] of place.entries()) header.writeFloatLE(value, 256 + 4 * n);
  return header;
}
