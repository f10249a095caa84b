/** The DICOM fixtures, what is known of them, and the proof that nothing names their patients. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';
import type { Volume } from '../../src/volume/volume';

export interface Expectation {
  readonly series: number;
  readonly slices: number;
  readonly shape: readonly [number, number, number];
  readonly affine: readonly number[];
}

export const dicomFixtures = resolve(__dirname, '..', 'fixtures', 'dicom');
export const tree = join(dicomFixtures, 'tree');
export const folderA = join(tree, 'MUELLER_JUERGEN_19610517');
export const folderB = join(tree, 'export', 'GONCALVES^JOSE');
export const expected = JSON.parse(readFileSync(join(dicomFixtures, 'expected.json'), 'utf8')) as Record<
  string,
  Expectation
>;
/** Parts of names, ids and dates of the fixtures' patients that must be nowhere. */
const names = ['üller', 'ueller', 'UELLER', 'JUERGEN', 'ürgen', 'alves', 'José', 'JOSE', 'enborn'];
const numbers = ['004217', '7731552', '19610517', '19480229', '20190203', '03.02', '141516'];
/** Years of birth, not as digits within a longer number or a digest. */
const years = /(?<![\w.])(?:1961|1948)(?!\w)/;
const secrets = [...names, ...numbers].flatMap((text) =>
  (['latin1', 'utf8'] as const).map((encoding) => [text, Buffer.from(text, encoding)] as const),
);

/** The voxel of the fixtures' formula that lies at a volume's voxel; undefined if none lies there. */
function truthAt({ affine }: Volume, voxel: readonly number[], own: Expectation): number | undefined {
  const world = [0, 1, 2].map(
    (row) => affine[4 * row + 3]! + [0, 1, 2].reduce((sum, i) => sum + affine[4 * row + i]! * voxel[i]!, 0),
  );
  const offset = world.map((value, row) => value - own.affine[4 * row + 3]!);
  // The axes of the fixtures are orthogonal.
  const place = [0, 1, 2].map((axis) => {
    const step = [0, 1, 2].map((row) => own.affine[4 * row + axis]!);
    return (
      step.reduce((sum, value, row) => sum + value * offset[row]!, 0) /
      step.reduce((sum, value) => sum + value ** 2, 0)
    );
  });
  const [x, y, k] = place.map(Math.round) as [number, number, number];
  if (
    place.some(
      (value, axis) =>
        Math.abs(value - Math.round(value)) > 1e-3 || value < -0.5 || value > own.shape[axis]! - 0.5,
    )
  )
    return undefined;
  return ((7 * x + 13 * y + 31 * k + 101 * own.series) % 2048) - 1024;
}

export function expectVoxels(volume: Volume, own: Expectation): void {
  const [nx, ny, nz] = volume.shape;
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++)
        expect(volume.data[x + nx * (y + ny * z)], `${x}, ${y}, ${z}`).toBe(truthAt(volume, [x, y, z], own));
}

export function expectNoSecret(bytes: Buffer, where: string): void {
  for (const [text, secret] of secrets) expect(bytes.includes(secret), `${text} in ${where}`).toBe(false);
  expect(years.test(bytes.toString('latin1')), `a year of birth in ${where}`).toBe(false);
}

/** Pseudonyms by a key of the tests' own. */
export function temporaryKey(folder: string): void {
  process.env.PATCHWISE_PATIENT_KEY = join(folder, 'patient-key');
}
