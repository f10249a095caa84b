/**
 * Writes DICOM files whose voxels are a field that is linear in the patient's space. So every voxel of a volume is known
 * by its place, however the slices lie and whatever is interpolated.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'vitest';
import type { Volume } from '../../src/volume/volume';

export const [columns, rows] = [12, 10];
const [columnStep, rowStep] = [0.7, 0.8];
export const explicit = '1.2.840.10008.1.2.1';
export const rle = '1.2.840.10008.1.2.5';

type Triple = readonly [number, number, number];
export type Element = readonly [
  tag: number,
  kind: string,
  value: string | number | Buffer | readonly Buffer[],
];

export function field(x: number, y: number, z: number): number {
  return 30 * x - 50 * y + 70 * z + 300;
}

/** The voxels of a slice in HU, rounded, as stored numbers. */
export function slice(position: Triple, axes: readonly number[], slope = 1, intercept = -4096): Int16Array {
  const stored = new Int16Array(columns * rows);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const place = position.map(
        (from, i) => from + x * columnStep * axes[i]! + y * rowStep * axes[3 + i]!,
      ) as unknown as Triple;
      stored[y * columns + x] = Math.round((field(...place) - intercept) / slope);
    }
  return stored;
}

/** The elements of an image: everything but its place and its pixels. */
export function imageElements(
  instance: number,
  { series = 1, sop = '1.2.840.10008.5.1.4.1.1.2' } = {},
): Element[] {
  return [
    [0x00080008, 'CS', 'ORIGINAL\\PRIMARY\\AXIAL'],
    [0x00080016, 'UI', sop],
    [0x00080018, 'UI', `1.2.826.${series}.${instance}`],
    [0x00080060, 'CS', 'CT'],
    [0x00100010, 'PN', 'Muster^Erika'],
    [0x00100020, 'LO', 'M-12'],
    [0x0020000d, 'UI', '1.2.826'],
    [0x0020000e, 'UI', `1.2.826.${series}`],
    [0x00200011, 'IS', `${series}`],
    [0x00280002, 'US', 1],
    [0x00280004, 'CS', 'MONOCHROME2'],
    [0x00280010, 'US', rows],
    [0x00280011, 'US', columns],
    [0x00280100, 'US', 16],
    [0x00280101, 'US', 16],
    [0x00280102, 'US', 15],
    [0x00280103, 'US', 1],
  ];
}

export function placeElements(position: Triple, axes: readonly number[]): Element[] {
  return [
    [0x00200032, 'DS', position.map(decimal).join('\\')],
    [0x00200037, 'DS', axes.map(decimal).join('\\')],
    [0x00280030, 'DS', `${rowStep}\\${columnStep}`],
  ];
}

export function scaleElements(slope = 1, intercept = -4096): Element[] {
  return [
    [0x00281052, 'DS', `${intercept}`],
    [0x00281053, 'DS', `${slope}`],
  ];
}

export function pixelElement(...slices: readonly Int16Array[]): Element {
  return [0x7fe00010, 'OW', Buffer.concat(slices.map(({ buffer }) => Buffer.from(buffer)))];
}

/** Elements in each item of a sequence. */
export function sequence(tag: number, ...items: readonly (readonly Element[])[]): Element {
  return [tag, 'SQ', items.map((own) => Buffer.concat(own.map(encode)))];
}

export function writeDicom(path: string, elements: readonly Element[], syntax = explicit): void {
  const meta = encode([0x00020010, 'UI', syntax]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(meta.length);
  const start = [Buffer.alloc(128), Buffer.from('DICM'), encode([0x00020000, 'UL', length]), meta];
  mkdirSync(dirname(path), { recursive: true });
  const sorted = [...elements].sort(([a], [b]) => a - b);
  writeFileSync(path, Buffer.concat([...start, ...sorted.map(encode)]));
}

function encode([tag, kind, value]: Element): Buffer {
  const content = contentOf(kind, value);
  const head = Buffer.alloc(8);
  head.writeUInt16LE(tag >>> 16, 0);
  head.writeUInt16LE(tag & 0xffff, 2);
  head.write(kind, 4, 'latin1');
  const isPacked = tag === 0x7fe00010 && Array.isArray(value);
  if (!['OW', 'OB', 'SQ'].includes(kind)) {
    head.writeUInt16LE(content.length, 6);
    return Buffer.concat([head, content]);
  }
  const length = Buffer.alloc(4);
  length.writeUInt32LE(isPacked ? 0xffffffff : content.length);
  const end = isPacked ? [Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0])] : [];
  return Buffer.concat([head, length, content, ...end]);
}

function contentOf(kind: string, value: Element[2]): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === 'number') return Buffer.from([value & 0xff, value >> 8]);
  if (typeof value === 'string')
    return Buffer.from(value.length % 2 === 0 ? value : value + (kind === 'UI' ? '\0' : ' '), 'latin1');
  return Buffer.concat(
    value.flatMap((item) => {
      const head = Buffer.from([0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0]);
      head.writeUInt32LE(item.length, 4);
      return [head, item];
    }),
  );
}

/** Compressed by RLE (PS3.5 annex G): two segments, each of literal runs. */
export function runLengths(voxels: Int16Array): Buffer {
  const bytes = Buffer.from(voxels.buffer);
  const segments = [1, 0].map((byte) => {
    const own = Buffer.from(bytes.filter((_, i) => i % 2 === byte));
    const runs: Buffer[] = [];
    for (let at = 0; at < own.length; at += 128) {
      const run = own.subarray(at, at + 128);
      runs.push(Buffer.from([run.length - 1]), run);
    }
    const packed = Buffer.concat(runs);
    return packed.length % 2 === 0 ? packed : Buffer.concat([packed, Buffer.from([0x80])]);
  });
  const head = Buffer.alloc(64);
  head.writeUInt32LE(2, 0);
  head.writeUInt32LE(64, 4);
  head.writeUInt32LE(64 + segments[0]!.length, 8);
  return Buffer.concat([head, ...segments]);
}

/** At most 16 characters. */
function decimal(value: number): string {
  return String(Number(value.toFixed(10)));
}

/**
 * Every voxel has the field's value at its place. Where a slice was shifted, voxels that it does not reach have the
 * darkest value. Returns the part of these. Voxels nearer to the border of the planes than `margin` are not compared.
 */
export function expectField(
  { shape, affine, data }: Volume,
  tolerance: number,
  margin: readonly [number, number] = [0, 0],
): number {
  const darkest = data.reduce((least, value) => Math.min(least, value), Infinity);
  let dark = 0;
  let worst = 0;
  for (let z = 0; z < shape[2]; z++)
    for (let y = 0; y < shape[1]; y++)
      for (let x = 0; x < shape[0]; x++) {
        const [right, front, up] = [0, 4, 8].map(
          (row) => affine[row + 3]! + affine[row]! * x + affine[row + 1]! * y + affine[row + 2]! * z,
        ) as [number, number, number];
        const value = data[x + shape[0] * (y + shape[1] * z)]!;
        if (value === darkest) dark++;
        else if (isInside(x, shape[0], margin[0]) && isInside(y, shape[1], margin[1]))
          worst = Math.max(worst, Math.abs(value - field(-right, -front, up)));
      }
  expect(worst).toBeLessThanOrEqual(tolerance);
  return dark / data.length;
}

function isInside(at: number, length: number, margin: number): boolean {
  return at >= margin && at < length - margin;
}
