/** What MetaImage and NRRD share: headers of text that place voxels in DICOM's world. */
import { UnreadableFile } from '../../errors';
import type { Vec3 } from '../../vec3';
import { affineSpacing, isSingular } from '../base/affine';
import { axesOf, formsOf, type VolumeHeader } from './header';
import { parseReal, print } from './text-readers';

/** The fields of a header. Names of fields are those of the format; spaces in them do not count. */
export class Fields {
  private readonly values = new Map<string, string>();

  constructor(
    readonly path: string,
    private readonly format: string,
  ) {}

  has(name: string): boolean {
    return this.values.has(keyOf(name));
  }

  set(name: string, value: string): void {
    this.values.set(keyOf(name), value);
  }

  /** The value of the first of these fields that the header has. */
  find(...names: readonly string[]): string | undefined {
    return names.map((name) => this.values.get(keyOf(name))).find((value) => value !== undefined);
  }

  need(name: string): string {
    return this.find(name) ?? this.refuse(`${this.format} with the field ${name}`);
  }

  /** The finite numbers of a field; undefined if the header has none of these fields. */
  numbers(count: number, ...names: readonly string[]): number[] | undefined {
    const text = this.find(...names);
    if (text === undefined) return undefined;
    const words = text.split(/[\s,]+/).filter((word) => word !== '');
    const values = words.map((word) => parseReal(word) ?? Number.NaN);
    if (values.length === count && values.every(Number.isFinite)) return values;
    return this.refuse(`${names[0]} with ${count === 1 ? 'a number' : `${count} numbers`}`, text);
  }

  /** A whole number, `least` or more. */
  whole(name: string, fallback: number, least: number): number {
    const [value] = this.numbers(1, name) ?? [fallback];
    if (Number.isSafeInteger(value) && value! >= least) return value!;
    return this.refuse(`${name} to be a whole number, ${least} or more`, this.find(name));
  }

  /** The sizes of the axes, whose number is another field. */
  sizes(number: string, sizes: string): readonly number[] {
    this.need(number);
    const axes = this.whole(number, 0, 0);
    if (!(axes >= 2 && axes <= 7))
      throw new UnreadableFile(this.path, 'between 2 and 7 axes', `${number} ${axes}`);
    this.need(sizes);
    return this.numbers(axes, sizes)!;
  }

  /** Throws UnreadableFile. `text` is what the header has instead. */
  refuse(expected: string, text?: string): never {
    throw new UnreadableFile(this.path, expected, text === undefined ? 'none' : print(text));
  }
}

function keyOf(name: string): string {
  return name.replaceAll(/\s/g, '');
}

/** The text after a header, and its length in bytes: voxels, or the names of files with voxels. */
export interface ParsedText {
  readonly fields: Fields;
  readonly length: number;
  readonly rest: string;
}

/** Where an image lies: one voxel's step along each of two or three axes, and the centre of the first voxel. */
export interface DicomPlace {
  /** In mm, with x to the patient's left and y to the back. */
  readonly steps: readonly Vec3[];
  readonly origin: Vec3;
}

/** An image in the terms of its header. */
export interface TextImage
  extends DicomPlace,
    Pick<VolumeHeader, 'format' | 'littleEndian' | 'datatype' | 'description'> {
  readonly sizes: readonly number[];
}

/** The header of an image. Throws UnreadableFile for sizes or directions that no volume has. */
export function headerOf(image: TextImage, path: string): VolumeHeader {
  const { format, littleEndian, datatype, description, origin } = image;
  const [x, y, z] = threeSteps(image.steps);
  // NIfTI's world has x to the right and y to the front. Adding 0 turns -0 to 0.
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

/** Adds a step of 1 mm at right angles to two others. */
function threeSteps(steps: readonly Vec3[]): readonly [Vec3, Vec3, Vec3] {
  const [x, y, z] = steps as readonly [Vec3, Vec3, Vec3?];
  const [a, b, c] = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]];
  const length = Math.hypot(a, b, c);
  return [x, y, z ?? [a / length, b / length, c / length]];
}

/** mm in a unit of length. Other text, and none, count as mm. */
export function unitInMm(unit: string | undefined): number {
  const name = unit
    ?.trim()
    .toLowerCase()
    .replace(/^(\xc2?\xb5|\xce\xbc|μ)/, 'u');
  return lengths.get(name ?? 'mm') ?? 1;
}

const lengths = new Map([
  ['m', 1000],
  ['meter', 1000],
  ['metre', 1000],
  ['cm', 10],
  ['um', 0.001],
  ['micron', 0.001],
  ['microns', 0.001],
  ['nm', 1e-6],
]);
