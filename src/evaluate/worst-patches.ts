import { expectLength, extractPatch } from '../patch/extract';
import { type Grid, patchStart } from '../patch/grid';
import type { Vec3 } from '../volume/vec3';
import { ErrorSums } from './metrics';

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
 * The error within every patch of a grid, the worst (by RMSE) first. Both volumes `[z, y, x]`, clipped to the window
 * that the metrics are meant for.
 */
export function patchErrors(
  reference: Float32Array,
  candidate: Float32Array,
  grid: Grid,
  { dataRange }: { readonly dataRange: number },
): PatchRow[] {
  expectLength('candidate', candidate, reference.length, 'as the reference');
  const rows = Array.from({ length: grid.patches }, (_, index): PatchRow => {
    const sums = new ErrorSums().add(
      extractPatch(reference, grid, index),
      extractPatch(candidate, grid, index),
    );
    const start = patchStart(grid, index);
    return { index, start, psnr: sums.psnr({ dataRange }), mae: sums.mae, rmse: sums.rmse };
  });
  return rows.sort((a, b) => b.rmse - a.rmse || a.index - b.index);
}
