import type { Place } from './header';

/** How the slices of a series lie. Slices are counted from 1 along the series. */
export interface Geometry {
  /** Places with a slice. */
  readonly slices: number;
  /** Slices at a place where another one lies: several phases, or copies. */
  readonly repeated: number;
  /** From the first slice to the last, in mm. */
  readonly extent: number;
  /** In mm: along rows, along columns, and between slices (the median). */
  readonly spacing: readonly [number, number, number];
  /** After which slices others are missing, and how many. */
  readonly missing: readonly { readonly after: number; readonly slices: number }[];
  /** Least and greatest distance of neighbouring slices in mm, if they are uneven without missing slices. */
  readonly uneven: readonly [number, number] | undefined;
  /** The angle in degrees between the slices' normal and the line through them; 0 if below 0.1. */
  readonly tilt: number;
  /** Unit vectors along rows, along columns, and their cross product; LPS. */
  readonly axes: readonly [Place, Place, Place];
  /** The first voxel of each place in mm, LPS, in the order of the normal. */
  readonly positions: readonly Place[];
  /**
   * Where the places lie on an even grid from the first slice to the last, counted in its planes. Whole numbers, unless
   * the slices are uneven.
   */
  readonly planes: readonly number[];
}

/** A slice as a file tells it: its first voxel in mm, LPS. */
export interface PlacedSlice {
  readonly position: Place;
}

/** Parts of a step by which gaps, and places on the even grid, may differ: positions are written with few digits. */
const tolerance = { gap: 0.03, place: 0.1 };
/** mm; closer slices are at one place. */
const samePlace = 1e-3;

/** Slices by place, in the order of the normal; those of one place stay in their order. */
export function groupByPlace<T extends PlacedSlice>(slices: readonly T[], axes: Geometry['axes']): T[][] {
  const sorted = slices
    .map((slice) => ({ slice, at: dot(slice.position, axes[2]) }))
    .sort((a, b) => a.at - b.at);
  const groups: T[][] = [];
  for (const [i, { slice, at }] of sorted.entries()) {
    if (i > 0 && at - sorted[i - 1]!.at <= samePlace) groups.at(-1)!.push(slice);
    else groups.push([slice]);
  }
  return groups;
}

/**
 * The geometry of slices that lie in one direction, grouped by place.
 *
 * @param pixelSpacing the distance of rows and of columns in mm
 */
export function geometryOf(
  places: readonly (readonly PlacedSlice[])[],
  axes: Geometry['axes'],
  pixelSpacing: readonly number[],
): Geometry {
  const positions = places.map(([first]) => first!.position);
  const along = positions.map((position) => dot(position, axes[2]));
  const gaps = along.slice(1).map((at, i) => at - along[i]!);
  const step = [...gaps].sort((a, b) => a - b)[Math.floor((gaps.length - 1) / 2)] ?? 0;
  const whole = wholePlanes(along, step);
  const missing = gaps.flatMap((_, i) => {
    const slices = whole ? whole[i + 1]! - whole[i]! - 1 : 0;
    return slices > 0 ? [{ after: i + 1, slices }] : [];
  });
  return {
    slices: positions.length,
    extent: along.at(-1)! - along[0]!,
    repeated: places.reduce((sum, { length }) => sum + length - 1, 0),
    spacing: [pixelSpacing[1]!, pixelSpacing[0]!, step],
    missing,
    uneven: whole ? undefined : [Math.min(...gaps), Math.max(...gaps)],
    tilt: tiltOf(positions[0]!, positions.at(-1)!, axes[2]),
    axes,
    positions,
    planes: whole ?? evenPlanes(along, gaps),
  };
}

/** Planes of slices whose distances are multiples of a step; undefined if they are not. */
function wholePlanes(along: readonly number[], step: number): number[] | undefined {
  let plane = 0;
  const planes = along.map((at, i) => {
    if (i > 0) plane += Math.max(1, Math.round((at - along[i - 1]!) / step));
    return plane;
  });
  const ownStep = (along.at(-1)! - along[0]!) / Math.max(1, plane);
  const fits = along.every((at, i) => {
    if (i === 0) return true;
    const count = planes[i]! - planes[i - 1]!;
    const gap = (at - along[i - 1]!) / step;
    const place = (at - along[0]!) / ownStep;
    return Math.abs(gap - count) <= tolerance.gap * count && Math.abs(place - planes[i]!) <= tolerance.place;
  });
  return fits ? planes : undefined;
}

/** Planes of uneven slices: as fine as the least distance, but at most twice as many as there are slices. */
function evenPlanes(along: readonly number[], gaps: readonly number[]): number[] {
  const extent = along.at(-1)! - along[0]!;
  const count = Math.min(Math.ceil(extent / Math.min(...gaps) - tolerance.gap), 2 * along.length - 1);
  return along.map((at) => ((at - along[0]!) / extent) * count);
}

/** The axes of slices by the directions of rows and of columns; undefined if these are none. */
export function axesOf(orientation: readonly number[]): Geometry['axes'] | undefined {
  const row = unit([orientation[0]!, orientation[1]!, orientation[2]!]);
  const column = unit([orientation[3]!, orientation[4]!, orientation[5]!]);
  const normal = unit(cross(row, column));
  return normal.every(Number.isFinite) && Math.abs(dot(row, column)) < 0.01
    ? [row, column, normal]
    : undefined;
}

function tiltOf(first: Place, last: Place, normal: Place): number {
  const along: Place = [last[0] - first[0], last[1] - first[1], last[2] - first[2]];
  const length = Math.hypot(...along);
  if (length === 0) return 0;
  const degrees = (Math.acos(Math.min(1, Math.abs(dot(along, normal)) / length)) * 180) / Math.PI;
  return degrees < 0.1 ? 0 : degrees;
}

function unit([x, y, z]: Place): Place {
  const length = Math.hypot(x, y, z);
  return [x / length, y / length, z / length];
}

function cross(a: Place, b: Place): Place {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

export function dot(a: Place, b: Place): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
