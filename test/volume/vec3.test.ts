import { expect, it } from 'vitest';
import { checkShape, checkSpacing, toVec3 } from '../../src/vec3';

it('one number stands for all three axes', () => {
  expect(checkShape('patch', 64)).toEqual([64, 64, 64]);
  expect(checkShape('patch', [64, 32, 16])).toEqual([64, 32, 16]);
  expect(checkSpacing('spacing', 0.7)).toEqual([0.7, 0.7, 0.7]);
  expect(toVec3('overlap', 0.25)).toEqual([0.25, 0.25, 0.25]);
});

it.each([
  [0],
  [-1],
  [1.5],
  [Number.NaN],
  [[64, 64]],
  [[64, 64, 64, 64]],
  [['64', 64, 64] as unknown as number[]],
])('a shape of %j is refused with its argument', (size) => {
  expect(() => checkShape('patch', size)).toThrow(
    'patch: expected a whole number above 0, or three [x, y, z]',
  );
});

it('a spacing is finite and above 0', () => {
  expect(() => checkSpacing('spacing', [1, 1, 0])).toThrow('spacing: expected a finite number above 0');
  expect(() => toVec3('overlap', [0.1, 0.2])).toThrow('overlap: expected one number, or three');
});
