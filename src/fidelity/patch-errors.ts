import { expectLength, extractPatch } from '../patch/extract';
import { type Grid, patchStart } from '../patch/grid';
import type { Vec3 } from '../vec3';
import { knownErrors } from './error-sums';

/** How far a reconstruction is from its original within one patch of the grid. */
export interface PatchRow {
  readonly index: number;
  /** First voxel `[x, y, z]`. */
  readonly start: Vec3;
  /** dB. */
  readonly psnr: number;
  readonly mae: number;
  readonly rmse: number;
}

/**
 * The errors within every patch of a grid, the worst (by RMSE) first. Both volumes are `[z, y, x]`, clipped to the
 * intensity window. Voxels at which the reference is NaN do not count; a patch of nothing else comes last.
 */
export function patchErrors(
  reference: Float32Array,
  candidate: Float32Array,
  grid: Grid,
  { dataRange }: { readonly dataRange: number },
): PatchRow[] {
  expectLength('candidate', candidate, reference.length, 'as the reference');
  const rows = Array.from({ length: grid.patches }, (_, index): PatchRow => {
    const sums = knownErrors(extractPatch(reference, grid, index), extractPatch(candidate, grid, index));
    const start = patchStart(grid, index);
    return { index, start, psnr: sums.psnr({ dataRange }), mae: sums.mae, rmse: sums.rmse };
  });
  const order = ({ rmse }: PatchRow) => (Number.isNaN(rmse) ? -1 : rmse);
  return rows.sort((a, b) => order(b) - order(a) || a.index - b.index);
}
