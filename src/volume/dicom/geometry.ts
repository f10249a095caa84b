import type { DicomHeader, Place } from './header';

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
}

/** Distances that differ by less than this part count as even: positions are written with few digits. */
const tolerance = 0.03;
/** mm; closer slices are at one place. */
const samePlace = 1e-3;

/** The geometry of the slices of a series; undefined if they have no places, or lie in several directions. */
export function geometryOf(headers: readonly DicomHeader[]): Geometry | undefined {
  const { orientation, pixelSpacing } = headers[0]!;
  if (!orientation || !pixelSpacing) return undefined;
  if (headers.some((header) => !isParallel(header.orientation, orientation))) return undefined;
  const normal = cross(orientation.slice(0, 3), orientation.slice(3));
  const places = headers
    .flatMap(({ positions }) => positions)
    .map((place) => ({ place, at: dot(place, normal) }))
    .sort((a, b) => a.at - b.at);
  if (places.length === 0) return undefined;
  const distinct = places.filter(({ at }, i) => i === 0 || at - places[i - 1]!.at > samePlace);
  const gaps = distinct.slice(1).map(({ at }, i) => at - distinct[i]!.at);
  const step = [...gaps].sort((a, b) => a - b)[Math.floor((gaps.length - 1) / 2)] ?? 0;
  const counts = gaps.map((gap) => gap / step);
  const areWhole = counts.every(
    (count) => Math.abs(count - Math.max(1, Math.round(count))) <= tolerance * Math.max(1, count),
  );
  const missing = counts.flatMap((count, i) =>
    areWhole && count > 1.5 ? [{ after: i + 1, slices: Math.round(count) - 1 }] : [],
  );
  const [columnStep, rowStep] = [pixelSpacing[1]!, pixelSpacing[0]!];
  return {
    slices: distinct.length,
    extent: distinct.at(-1)!.at - distinct[0]!.at,
    repeated: places.length - distinct.length,
    spacing: [columnStep, rowStep, step],
    missing,
    uneven: areWhole ? undefined : [Math.min(...gaps), Math.max(...gaps)],
    tilt: tiltOf(distinct[0]!.place, distinct.at(-1)!.place, normal),
  };
}

function isParallel(own: readonly number[] | undefined, first: readonly number[]): boolean {
  return own?.every((value, i) => Math.abs(value - first[i]!) < 1e-2) ?? false;
}

function tiltOf(first: Place, last: Place, normal: Place): number {
  const along: Place = [last[0] - first[0], last[1] - first[1], last[2] - first[2]];
  const length = Math.hypot(...along) * Math.hypot(...normal);
  if (length === 0) return 0;
  const degrees = (Math.acos(Math.min(1, Math.abs(dot(along, normal)) / length)) * 180) / Math.PI;
  return degrees < 0.1 ? 0 : degrees;
}

function cross(a: readonly number[], b: readonly number[]): Place {
  return [a[1]! * b[2]! - a[2]! * b[1]!, a[2]! * b[0]! - a[0]! * b[2]!, a[0]! * b[1]! - a[1]! * b[0]!];
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a[0]! * b[0]! + a[1]! * b[1]! + a[2]! * b[2]!;
}
