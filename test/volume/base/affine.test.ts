import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/random';
import type { Vec3 } from '../../../src/vec3';
import { affineQuaternion, affineSpacing, quaternionAffine } from '../../../src/volume/base/affine';
import { canonicalAxes, reorient } from '../../../src/volume/orient';

describe('quaternion forms', () => {
  it('give back any rotation, size and handedness', () => {
    const random = new Random(3, 'affine test');
    for (let n = 0; n < 200; n++) {
      const q = [0, 1, 2, 3].map(() => (random.next() < 0.3 ? 0 : random.normal()));
      const length = Math.hypot(...q) || 1;
      const sign = q[0]! < 0 ? -1 : 1;
      const vector = q.slice(1).map((part) => (sign * part) / length) as unknown as Vec3;
      const qfac = n % 2 === 0 ? 1 : -1;
      const spacing: Vec3 = [0.5 + random.next(), 1 + random.next(), 2 + random.next()];
      const affine = quaternionAffine(vector, spacing, [1, 2, 3], qfac);
      const found = affineQuaternion(affine)!;
      const again = quaternionAffine(found.quaternion, affineSpacing(affine), [1, 2, 3], found.qfac);
      for (const [at, value] of affine.entries()) expect(again[at]).toBeCloseTo(value, 6);
    }
  });

  it('have none for a flat affine', () => {
    expect(affineQuaternion([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1])).toBeUndefined();
  });
});

describe('reorienting', () => {
  it('moves every voxel with its place in the world', () => {
    const shape: Vec3 = [3, 4, 5];
    const affine = [0, 0, -2, 9, 1.5, 0.1, 0, -4, 0, -1, 0.2, 7, 0, 0, 0, 1];
    const data = new Float32Array(60).map((_, n) => n);
    const turned = reorient({ shape, data, spacing: affineSpacing(affine), affine }, canonicalAxes(affine));
    expect(turned.shape).toEqual([5, 3, 4]);
    expect(worldOf(turned.shape, turned.affine, turned.data)).toEqual(worldOf(shape, affine, data));
    for (const axis of [0, 1, 2]) expect(turned.affine[axis * 5]).toBeGreaterThan(0);
  });
});

/** World position of each value, in the values' order. */
function worldOf([nx, ny]: Vec3, affine: readonly number[], data: Float32Array): string[] {
  const places: string[] = [];
  for (const [n, value] of data.entries()) {
    const index = [n % nx, Math.floor(n / nx) % ny, Math.floor(n / (nx * ny)), 1];
    const world = [0, 1, 2].map((row) =>
      index.reduce((sum, at, axis) => sum + at * affine[row * 4 + axis]!, 0),
    );
    places[value] = world.map((mm) => mm.toFixed(6).replace('-0.000000', '0.000000')).join(' ');
  }
  return places;
}
