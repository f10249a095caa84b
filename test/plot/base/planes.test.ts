import { describe, expect, it } from 'vitest';
import { planesOf, sliceOf } from '../../../src/plot/base/planes';
import { volumeOf } from '../samples';

describe('planes', () => {
  it('shows a volume along the world axes by the radiological convention', () => {
    const volume = volumeOf([4, 5, 6], () => 0);
    const { axial, coronal, sagittal } = planesOf(volume);
    // x runs to the patient's right, which is on the left of the screen: reversed. y and z run up as they are.
    expect(axial).toMatchObject({
      horizontal: 0,
      vertical: 1,
      through: 2,
      reversed: { horizontal: true, vertical: false },
      edges: { left: 'R', top: 'A' },
      aspect: 1,
    });
    expect(coronal).toMatchObject({ horizontal: 0, vertical: 2, through: 1, edges: { top: 'S' }, aspect: 2 });
    expect(sagittal).toMatchObject({
      horizontal: 1,
      vertical: 2,
      through: 0,
      edges: { left: 'A', top: 'S' },
    });
  });

  it('shows the same patient alike, whichever way the file stores him', () => {
    // The same point cloud stored as LPS (x and y the other way round) and with z first.
    const lps = [-1, 0, 0, 3, 0, -1, 0, 4, 0, 0, 2, 0, 0, 0, 0, 1];
    const planes = planesOf(volumeOf([4, 5, 6], () => 0, lps));
    expect(planes.axial.reversed).toEqual({ horizontal: false, vertical: true });
    const zFirst = [0, 1, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 1]; // voxel x is superior, y right, z anterior
    const turned = planesOf(volumeOf([6, 4, 5], () => 0, zFirst));
    expect(turned.axial).toMatchObject({
      horizontal: 1,
      vertical: 2,
      through: 0,
      count: 6,
      columns: 4,
      rows: 5,
    });
    expect(turned.coronal).toMatchObject({ horizontal: 1, vertical: 0, through: 2 });
  });

  it('takes the nearest axes of an oblique volume', () => {
    const [c, s] = [Math.cos(0.3), Math.sin(0.3)];
    const oblique = [c, -s, 0, 0, s, c, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1];
    expect(planesOf(volumeOf([4, 5, 6], () => 0, oblique)).axial).toMatchObject({
      horizontal: 0,
      vertical: 1,
    });
  });

  it('cuts the voxels that the plane names', () => {
    const volume = volumeOf([3, 4, 5], (x, y, z) => 100 * x + 10 * y + z);
    const { axial, coronal, sagittal } = planesOf(volume);
    expect([...sliceOf(volume, axial, 2)].slice(0, 4)).toEqual([2, 102, 202, 12]);
    expect([...sliceOf(volume, coronal, 3)].slice(0, 4)).toEqual([30, 130, 230, 31]);
    expect([...sliceOf(volume, sagittal, 1)].slice(0, 5)).toEqual([100, 110, 120, 130, 101]);
    expect(() => sliceOf(volume, axial, 5)).toThrow(/slice of the axial plane, 0 to 4/);
  });
});
