import { expectLength, type VoxelSource } from '../patch/extract';
import type { Axis } from '../patch/grid';
import type { Vec3 } from '../volume/vec3';

/** For each i the sum of |data[i + 1] - data[i]| along an axis, over all lines of a volume `[z, y, x]`. */
export function jumpSums(data: VoxelSource, shape: Vec3, axis: Axis): Float64Array {
  const [nx, ny, nz] = shape;
  expectLength('data', data, nx * ny * nz, 'the volume of the grid');
  const step = axis === 0 ? 1 : axis === 1 ? nx : nx * ny;
  const sums = new Float64Array(shape[axis] - 1);
  for (let z = 0; z < nz - (axis === 2 ? 1 : 0); z++) {
    for (let y = 0; y < ny - (axis === 1 ? 1 : 0); y++) {
      const row = (z * ny + y) * nx;
      if (axis === 0) {
        for (let x = 0; x < nx - 1; x++) sums[x]! += Math.abs(data[row + x + 1]! - data[row + x]!);
      } else {
        let sum = 0;
        for (let i = row; i < row + nx; i++) sum += Math.abs(data[i + step]! - data[i]!);
        sums[axis === 1 ? y : z]! += sum;
      }
    }
  }
  return sums;
}
