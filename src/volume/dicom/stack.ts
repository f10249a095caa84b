/** Finds the stack of slices among the images of a series. */
import { axesOf, type Geometry, geometryOf, groupByPlace } from './geometry';
import type { DicomHeader } from './header';
import { type Slice, slicesOf } from './slice-files';

/** More than this part of a series' images must be of one size and direction. */
const mainPart = 3 / 4;

/** The images of the size and direction that most have; undefined if too few have one. */
export function mainImages(images: readonly DicomHeader[]): DicomHeader[] | undefined {
  const kinds: DicomHeader[][] = [];
  for (const image of images) {
    const kind = kinds.find(([first]) => isAlike(first!, image));
    if (kind) kind.push(image);
    else kinds.push([image]);
  }
  return kinds.find(({ length }) => length > mainPart * images.length);
}

function isAlike(a: DicomHeader, b: DicomHeader): boolean {
  const same = (['rows', 'columns', 'allocated', 'signed'] as const).every(
    (key) => a.format[key] === b.format[key],
  );
  if (!same || a.positions.length > 0 !== b.positions.length > 0) return false;
  if (!a.orientation || !b.orientation) return a.orientation === b.orientation;
  if (a.pixelSpacing?.length !== b.pixelSpacing?.length) return false;
  if (a.pixelSpacing?.some((step, i) => Math.abs(step - b.pixelSpacing![i]!) > 1e-3 * step)) return false;
  return b.orientation.every((value, i) => Math.abs(value - a.orientation![i]!) < 1e-2);
}

/** A series' slices, and how they lie. */
export interface Stack {
  readonly geometry: Geometry;
  /** In the order of the normal, one phase after the other. */
  readonly slices: readonly Slice[];
}

/** The stack of images of one size and direction; undefined if some do not tell where their slices lie. */
export function stackOf(images: readonly DicomHeader[]): Stack | undefined {
  const [{ orientation, pixelSpacing }] = images as [DicomHeader];
  const axes = orientation && axesOf(orientation);
  if (!axes || !pixelSpacing) return undefined;
  const slices: Slice[] = [];
  // At one place, the order of the numbers is the order of the phases.
  const numbered = images.map((image, file) => ({ image, file }));
  numbered.sort((a, b) => (a.image.instanceNumber ?? 0) - (b.image.instanceNumber ?? 0) || a.file - b.file);
  for (const { image, file } of numbered) {
    const own = slicesOf(image, file);
    if (!own) return undefined;
    slices.push(...own);
  }
  const places = groupByPlace(slices, axes);
  const geometry = geometryOf(places, axes, pixelSpacing);
  const phases = places.every(({ length }) => length === places[0]!.length) ? places[0]!.length : 1;
  const inOrder = Array.from({ length: phases }, (_, phase) => places.map((place) => place[phase]!));
  return { geometry, slices: inOrder.flat() };
}
