import { expect, test } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { meanOverMirrors, mirror } from '../../src/reconstruct/mirror';
import type { AxisName, Vec3 } from '../../src/vec3';
import { noise } from '../patch/volumes';

const size: Vec3 = [5, 4, 3];
const patch = noise(size, 1);

/** A model that is not symmetric on any axis: each voxel gets a part of the neighbours that follow it. */
function lopsided(data: Float32Array): Float32Array {
  return data.map((value, i) => value + 0.5 * (data[i + 1] ?? 0) + 0.25 * (data[i + 5] ?? 0) * value);
}

test('mirroring turns one axis around and is its own inverse', () => {
  const flipped = mirror(patch, size, ['x', 'z']);
  for (let z = 0; z < 3; z++)
    for (let y = 0; y < 4; y++)
      for (let x = 0; x < 5; x++)
        expect(flipped[(z * 4 + y) * 5 + x]).toBe(patch[((2 - z) * 4 + y) * 5 + 4 - x]);
  expect(mirror(flipped, size, ['x', 'z'])).toEqual(patch);
  expect(mirror(mirror(patch, size, ['y']), size, ['y'])).toEqual(patch);
});

test.each<AxisName[][]>([[[]], [['x']], [['x', 'y']], [['z', 'y', 'x']]])(
  'the identity stays the identity, bit for bit: %j',
  (axes) => {
    expect(meanOverMirrors(patch, size, axes, (data) => data)).toEqual(patch);
  },
);

test('it is the mean of the flips made by hand', () => {
  const flips: AxisName[][] = [[], ['x'], ['z'], ['x', 'z']];
  const outputs = flips.map((axes) => mirror(lopsided(mirror(patch, size, axes)), size, axes));
  const passes: number[] = [];
  const mean = meanOverMirrors(patch, size, ['x', 'z'], (data, pass) => {
    passes.push(pass);
    return lopsided(data);
  });
  expect(passes).toEqual([0, 1, 2, 3]);
  const greatest = mean.reduce((most, value, i) => {
    const expected = outputs.reduce((sum, output) => sum + output[i]!, 0) / 4;
    return Math.max(most, Math.abs(value - expected));
  }, 0);
  expect(greatest).toBeLessThan(1e-6);
  expect(Math.abs(mean[7]! - lopsided(patch)[7]!)).toBeGreaterThan(1e-3);
});

test('unknown and repeated axes are refused', () => {
  expect(() => meanOverMirrors(patch, size, ['w' as 'x'], (data) => data)).toThrow(InvalidArgument);
  expect(() => meanOverMirrors(patch, size, ['x', 'x'], (data) => data)).toThrow(InvalidArgument);
});
