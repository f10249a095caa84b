import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readVolume, readVoxels } from '../../../src/volume/read';

const folder = join(__dirname, '../../fixtures/formats');
/** What ITK reads in each file; make.mjs beside them has asked it. */
const expected: Record<string, { size: number[]; affine: number[]; values: number[] }> = JSON.parse(
  readFileSync(join(folder, 'expected.json'), 'utf8'),
);

it.each(Object.entries(expected))('%s has the voxels and the place that ITK reads', async (name, itk) => {
  const [shape, series] = [[...itk.size, 1].slice(0, 3), itk.size.slice(3)];
  const voxels = shape.reduce((a, b) => a * b, 1);
  const count = series.reduce((a, b) => a * b, 1);
  for (let index = 0; index < count; index++) {
    const volume = await readVolume(join(folder, name), { index });
    expect(volume.shape).toEqual(shape);
    const values = itk.values.slice(index * voxels, (index + 1) * voxels);
    expect([...volume.data]).toEqual(values);
    expect([...(await readVoxels(join(folder, name), { index })).data]).toEqual(values);
    for (const [n, value] of volume.affine.slice(0, 12).entries())
      expect(value, `affine ${volume.affine}`).toBeCloseTo(itk.affine[n]!, 6);
  }
});
