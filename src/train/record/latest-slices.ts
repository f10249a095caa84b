import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../atomic-file';
import { attempt } from '../../errors';
import type { Vec3 } from '../../vec3';

/**
 * `slices.json` of a run: the middle slice of one validation patch and what the model made of it, as of the latest
 * validation. A few tens of KiB, replaced as a whole, for live figures.
 */
export interface LatestSlices {
  readonly step: number;
  readonly columns: number;
  readonly rows: number;
  /** Base64 of `rows * columns` bytes, x fastest: 0 is the model's -1, 255 its 1. */
  readonly original: string;
  readonly reconstruction: string;
}

/** The slices of one validation; `patch` and `decoded` are [pz * py * px] in the model's range. */
export function middleSlices(
  step: number,
  [columns, rows, depth]: Vec3,
  patch: Float32Array,
  decoded: Float32Array,
): LatestSlices {
  const start = (depth >> 1) * columns * rows;
  const bytes = (values: Float32Array): string => {
    const slice = values.subarray(start, start + columns * rows);
    return Buffer.from(Uint8ClampedArray.from(slice, (value) => (value + 1) * 127.5)).toString('base64');
  };
  return { step, columns, rows, original: bytes(patch), reconstruction: bytes(decoded) };
}

export function writeLatestSlices(runDir: string, slices: LatestSlices): void {
  replaceFile(slicesPath(runDir), JSON.stringify(slices));
}

/** Undefined before the first validation, and where the file cannot be read as one. */
export function readLatestSlices(runDir: string): LatestSlices | undefined {
  const slices = attempt(() => JSON.parse(readFileSync(slicesPath(runDir), 'utf8')) as LatestSlices | null);
  if (!slices) return undefined;
  const pixels = slices.columns * slices.rows;
  const isPicture = (bytes: unknown) =>
    typeof bytes === 'string' && Buffer.byteLength(bytes, 'base64') === pixels;
  return isPicture(slices.original) && isPicture(slices.reconstruction) ? slices : undefined;
}

function slicesPath(runDir: string): string {
  return join(runDir, 'slices.json');
}
