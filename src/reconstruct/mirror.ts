import { InvalidArgument } from '../errors';
import { type AxisName, axisNames, type Vec3 } from '../vec3';

/**
 * Sends a patch and its mirror images through a model and gives the mean of the outputs, each mirrored back:
 * test-time augmentation, as nnU-Net's `mirror_axes`. n axes take 2^n passes; the first one is the patch as it is.
 *
 * @param patch `[z, y, x]` of `size`, x running fastest
 */
export function meanOverMirrors(
  patch: Float32Array,
  size: Vec3,
  axes: readonly AxisName[],
  model: (patch: Float32Array, pass: number) => Float32Array,
): Float32Array {
  const passes = 2 ** checkMirror(axes).length;
  // Doubles, so that the mean of equal values is that value, whatever their number.
  const sum = new Float64Array(patch.length);
  for (let pass = 0; pass < passes; pass++) {
    const flipped = axes.filter((_, bit) => pass & (1 << bit));
    const output = mirror(model(mirror(patch, size, flipped), pass), size, flipped);
    for (let i = 0; i < sum.length; i++) sum[i]! += output[i]!;
  }
  return Float32Array.from(sum, (value) => value / passes);
}

/** A copy of a patch mirrored along axes; the patch itself where there are none. */
export function mirror(patch: Float32Array, [nx, ny, nz]: Vec3, axes: readonly AxisName[]): Float32Array {
  if (axes.length === 0) return patch;
  const [x, y, z] = axisNames.map((axis) => axes.includes(axis));
  const mirrored = new Float32Array(patch.length);
  for (let k = 0; k < nz; k++) {
    for (let j = 0; j < ny; j++) {
      const from = ((z ? nz - 1 - k : k) * ny + (y ? ny - 1 - j : j)) * nx;
      const row = mirrored.subarray((k * ny + j) * nx, (k * ny + j + 1) * nx);
      row.set(patch.subarray(from, from + nx));
      if (x) row.reverse();
    }
  }
  return mirrored;
}

/** @throws InvalidArgument for an unknown axis or one that is given twice. */
export function checkMirror(axes: readonly AxisName[]): readonly AxisName[] {
  const wrong = axes.find((axis, i) => !axisNames.includes(axis) || axes.indexOf(axis) !== i);
  if (wrong !== undefined) throw new InvalidArgument('mirror', 'axes, each once', axes, axisNames);
  return axes;
}
