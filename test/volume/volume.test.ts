import { describe, expect, it } from 'vitest';
import { Volume } from '../../src/volume/volume';

describe('Volume', () => {
  const data = Float32Array.from({ length: 24 }, (_, n) => n);

  it('is seen as [x, y, z] over its own memory', () => {
    const volume = new Volume({ shape: [4, 3, 2], data });
    const view = volume.view();
    expect(view.shape).toEqual([4, 3, 2]);
    expect(view.stride).toEqual([1, 4, 12]);
    expect(view.get(1, 2, 1)).toBe(1 + 2 * 4 + 12);
    view.set(0, 0, 1, 99);
    expect(data[12]).toBe(99);
  });

  it('takes its spacing from the affine, and an affine from the spacing', () => {
    const affine = [0, -2, 0, 1, 3, 0, 0, 2, 0, 0, 4, 3, 0, 0, 0, 1];
    expect(new Volume({ shape: [4, 3, 2], data, affine }).spacing).toEqual([3, 2, 4]);
    const scaled = new Volume({ shape: [4, 3, 2], data, spacing: [1, 2, 3] }).affine;
    expect(scaled).toEqual([1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1]);
  });

  it('refuses parts that do not fit', () => {
    expect(() => new Volume({ shape: [4, 3, 3], data })).toThrow('36 values');
    expect(() => new Volume({ shape: [4, 3, 2], data, spacing: [1, 0, 1] })).toThrow('spacing');
    expect(() => new Volume({ shape: [4, 3, 2], data, affine: [1, 2] })).toThrow('affine');
  });

  it('has the voxel size of its affine', () => {
    const affine = [0, -2, 0, 1, 2, 0, 0, 1, 0, 0, 3, 1, 0, 0, 0, 1];
    const init = { shape: [1, 1, 1], data: new Float32Array(1), affine };
    expect(new Volume(init).spacing).toEqual([2, 2, 3]);
    expect(new Volume({ ...init, spacing: [2, 2, 3.001] }).spacing).toEqual([2, 2, 3.001]);
    expect(() => new Volume({ ...init, spacing: [1, 1, 1] })).toThrow(
      /spacing: expected the affine's voxel size 2, 2, 3/,
    );
  });
});
