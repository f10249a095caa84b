/** What MetaImage and NRRD share: headers of text that place voxels in DICOM's world and name files. */
import { dirname, isAbsolute, join } from 'node:path';
import { UnreadableFile } from '../../errors';
import type { Vec3 } from '../../vec3';
import { affineSpacing, isSingular } from '../base/affine';
import { axesOf, formsOf, type VolumeHeader } from './header';
import { parseReal, print } from './text-readers';

/** An image in the terms of its header. */
export interface TextImage
  extends Pick<VolumeHeader, 'format' | 'littleEndian' | 'datatype' | 'description'> {
  readonly sizes: readonly number[];
  /** One voxel's step along each of up to three axes, in mm, in DICOM's world: x to the left, y to the back. */
  readonly steps: readonly Vec3[];
  /** The centre of the first voxel in DICOM's world. */
  readonly origin: Vec3;
}

/** The header of an image. Throws UnreadableFile for sizes or directions that no volume has. */
export function headerOf(image: TextImage, path: string): VolumeHeader {
  const { format, littleEndian, datatype, description, origin } = image;
  const [x, y, z] = threeSteps(image.steps);
  // NIfTI's world has x to the right and y to the front.
  const rows = [-1, -1, 1].flatMap((sign, row) => [x, y, z, origin].map((column) => sign * column[row]! + 0));
  const affine = [...rows, 0, 0, 0, 1];
  if (!affine.every(Number.isFinite) || isSingular(affine)) {
    const found = [x, y, z].map((step) => `(${step.join(', ')})`).join(' ');
    throw new UnreadableFile(path, 'three directions that span space, and voxels of a size above 0', found);
  }
  return {
    format,
    littleEndian,
    datatype,
    description,
    slope: 1,
    intercept: 0,
    ...axesOf(image.sizes, path),
    ...formsOf(affine, affineSpacing(affine)),
    affine,
  };
}

/** Adds a step of 1 mm at right angles to two others, or the last axes of the world to fewer. */
function threeSteps(steps: readonly Vec3[]): readonly [Vec3, Vec3, Vec3] {
  const [x = [1, 0, 0], y = [0, 1, 0]] = steps;
  const [a, b, c] = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]];
  const length = Math.hypot(a, b, c);
  return [x, y, steps[2] ?? [a / length, b / length, c / length]];
}

/** The numbers of a field. Throws UnreadableFile unless they are `count` finite numbers. */
export function numbersOf(path: string, field: string, text: string, count: number): number[] {
  const values = text
    .split(/[\s,]+/)
    .filter((word) => word !== '')
    .map((word) => parseReal(word) ?? Number.NaN);
  if (values.length === count && values.every(Number.isFinite)) return values;
  throw new UnreadableFile(
    path,
    `${field} with ${count === 1 ? 'a number' : `${count} numbers`}`,
    print(text),
  );
}

/** A whole number of a field, not below `least`. */
export function wholeOf(path: string, field: string, text: string, least: number): number {
  const [value] = numbersOf(path, field, text, 1);
  if (Number.isSafeInteger(value) && value! >= least) return value!;
  throw new UnreadableFile(path, `${field} to be a whole number, ${least} or more`, print(text));
}

/** The number of axes. Volumes have two or three, and more in a series. */
export function axisCount(path: string, field: string, text: string): number {
  const axes = wholeOf(path, field, text, 0);
  if (axes >= 2 && axes <= 7) return axes;
  throw new UnreadableFile(path, 'between 2 and 7 axes', `${field} ${axes}`);
}

/** mm per unit of length, where a header names one; all other text counts as mm. */
export function unitInMm(unit: string | undefined): number {
  const known = {
    m: 1000,
    meter: 1000,
    metre: 1000,
    cm: 10,
    um: 0.001,
    micron: 0.001,
    microns: 0.001,
    nm: 1e-6,
  };
  return (
    known[
      unit
        ?.trim()
        .toLowerCase()
        .replace(/[µμ]|\xc2\xb5/, 'u') as keyof typeof known
    ] ?? 1
  );
}

/** Names in a header are UTF-8, which the parsers read as latin1, to count bytes. They lie beside the header. */
export function fileBeside(header: string, name: string): string {
  const own = Buffer.from(name, 'latin1').toString('utf8');
  if (own.trim() === '' || own.includes('\0'))
    throw new UnreadableFile(header, 'the name of a file with voxels', print(name));
  return isAbsolute(own) ? own : join(dirname(header), own);
}

/** More files than any series of slices has. */
const mostFiles = 100_000;

/** The files of a pattern as in printf (`slice%03d.raw`) with the numbers `first` to `last`. */
export function numberedFiles(
  header: string,
  pattern: string,
  [first, last, step]: readonly number[],
): string[] {
  const steps = (last! - first!) / step!;
  if (![first, last, step].every(Number.isSafeInteger) || !(steps >= 0 && steps < mostFiles)) {
    const found = print(`${pattern} ${first} ${last} ${step}`);
    throw new UnreadableFile(header, 'a file pattern with the first and last number and a step', found);
  }
  const numbers = Array.from({ length: Math.floor(steps) + 1 }, (_, n) => first! + n * step!);
  return numbers.map((number) =>
    fileBeside(
      header,
      pattern.replace(/%(?:%|(0?)(\d{0,2})[diu])/g, (found, zero: string, width: string) =>
        found === '%%' ? '%' : padded(number, Number(width), zero === '0'),
      ),
    ),
  );
}

function padded(number: number, width: number, withZeros: boolean): string {
  if (!withZeros) return String(number).padStart(width, ' ');
  const sign = number < 0 ? '-' : '';
  return sign + String(Math.abs(number)).padStart(width - sign.length, '0');
}

/** Refuses a list of files that cannot hold a volume. */
export function checkFiles(header: string, files: readonly string[], expected: number): readonly string[] {
  if (files.length === expected) return files;
  throw new UnreadableFile(header, `the names of ${expected} files with voxels`, `${files.length}`);
}

/** The lines from byte `from` of a text on, without the empty ones. */
export function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
