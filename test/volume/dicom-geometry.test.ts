import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readVolume } from '../../src/volume/read';
import { listSeries } from '../../src/volume/series';
import { temporaryKey } from './dicom-fixtures';
import {
  type Element,
  expectField,
  explicit,
  imageElements,
  pixelElement,
  placeElements,
  rle,
  runLengths,
  scaleElements,
  sequence,
  slice,
  writeDicom,
} from './dicom-writer';
import { temporaryFolder } from './folder';

const temporary = temporaryFolder();

beforeAll(() => temporaryKey(temporary()));

type Place = readonly [number, number, number];
const upright = [1, 0, 0, 0, 1, 0];
const oblique = [1, 0, 0, 0, 0.8, -0.6];
const tilted = (degrees: number) => {
  const angle = (degrees * Math.PI) / 180;
  return [1, 0, 0, 0, Math.cos(angle), -Math.sin(angle)];
};
/** Places along a direction, by their distances from the first one in mm. */
const along = (distances: readonly number[], direction: Place = [0, 0, 1]): Place[] =>
  distances.map((at) => [-9.2 + at * direction[0], -7.6 + at * direction[1], 10 + at * direction[2]]);
const even = [0, 2, 4, 6, 8, 10, 12, 14];

/** Writes a series, one file a slice; returns its folder. `each` may change the elements of a slice or leave it out. */
function write(
  name: string,
  places: readonly Place[],
  axes: readonly number[],
  each: (elements: Element[], n: number) => Element[] | undefined = (elements) => elements,
): string {
  const folder = join(temporary(), name);
  for (const [n, place] of places.entries()) {
    const own: Element[] = [
      ...imageElements(n + 1),
      [0x00200013, 'IS', `${n + 1}`],
      ...placeElements(place, axes),
      ...scaleElements(),
      pixelElement(slice(place, axes)),
    ];
    const elements = each(own, n);
    if (elements) writeDicom(join(folder, `${n}`), elements);
  }
  return folder;
}

const replaced = (elements: readonly Element[], own: Element): Element[] => [
  ...elements.filter(([tag]) => tag !== own[0]),
  own,
];

describe('a series whose slices lie oddly', () => {
  it.each([
    ['a missing slice', along([0, 2, 4, 8, 10]), upright, 6, '6, 2 mm apart'],
    ['two gaps', along([0, 2, 6, 8, 10, 16, 18]), upright, 10, '10, 2 mm apart'],
    ['a missing slice, oblique', along([0, 2, 4, 8, 10], [0, 0.6, 0.8]), oblique, 6, '6, 2 mm apart'],
    ['three slices and a gap', along([0, 2, 6]), upright, 4, '4, 2 mm apart'],
    ['an uneven end', along([0, 2, 4, 6, 8, 10, 15]), upright, 9, '9, 1.875 mm apart'],
    ['uneven slices, downwards', along([0, -2, -4, -7, -10]), upright, 6, '6, 2 mm apart'],
    ['blocks that overlap', along([0, 2, 4, 6, 7, 9, 11, 13]), upright, 14, '14, 1 mm apart'],
    ['slow drift', along([0, 2, 4, 6.06, 8.12, 10.18, 12.24, 14.3]), upright, 8, undefined],
    ['rounded positions', along([0, 2.02, 3.99, 6, 8.01, 10]), upright, 6, undefined],
  ] as const)(
    '%s: the volume reaches from the first to the last',
    async (name, places, axes, planes, told) => {
      const volume = await readVolume(write(name, places, axes));
      expect(volume.shape).toEqual([12, 10, planes]);
      // An even grid may miss a written position by a tenth of a step.
      expectField(volume, told === undefined ? 15 : 1.1);
      const [first, last] = [places[0]!, places.at(-1)!];
      const extent = Math.hypot(...first.map((value, i) => value - last[i]!));
      expect(volume.spacing[2] * (planes - 1)).toBeCloseTo(extent, 4);
      const note = told && `its slices are interpolated to ${told}`;
      expect(volume.notes.filter((own) => own.includes('interpolated'))).toEqual(note ? [note] : []);
    },
  );

  it.each([
    ['forwards', tilted(12), along(even), 0.3, 12],
    ['backwards', tilted(-12), along(even), 0.3, 12],
    ['downwards', tilted(12), along(even, [0, 0, -1]), 0.3, 12],
    ['and a slice is missing', tilted(8), along([0, 2, 4, 8, 10, 12]), 0.3, 8],
    ['to the side', upright, along(even, [0.2, 0, 1]), 0.3, 11.3],
  ] as const)(
    'a gantry that tilts %s: each voxel is at its place',
    async (name, axes, places, dark, degrees) => {
      const volume = await readVolume(write(`tilt ${name}`, places, axes));
      // Half a voxel at the border of a slice has the border's value.
      expect(expectField(volume, 30)).toBeLessThan(dark);
      expect(volume.notes).toContain(`its gantry tilt of ${degrees} degrees is corrected`);
      const column = (axis: number) => [0, 4, 8].map((row) => volume.affine[row + axis]!);
      for (const [a, b] of [
        [0, 1],
        [0, 2],
        [1, 2],
      ] as const)
        expect(column(a).reduce((sum, value, i) => sum + value * column(b)[i]!, 0)).toBeCloseTo(0, 4);
    },
  );

  it.each([
    ['shuffled', [3, 0, 5, 1, 7, 2, 6, 4]],
    ['all the same', [1, 1, 1, 1, 1, 1, 1, 1]],
    ['missing', undefined],
  ] as const)('instance numbers that are %s change nothing', async (name, numbers) => {
    const folder = write(`numbers ${name}`, along(even), upright, (elements, n) =>
      numbers
        ? replaced(elements, [0x00200013, 'IS', `${numbers[n]}`])
        : elements.filter(([tag]) => tag !== 0x00200013),
    );
    const volume = await readVolume(folder);
    expect(volume.shape).toEqual([12, 10, 8]);
    expectField(volume, 0.51);
    expect(volume.notes).toEqual([]);
  });

  it('a slice that lies beside the others is moved to its place, and that is told', async () => {
    const places = along(even).map(([x, y, z], n): Place => [n === 3 ? x + 3.5 : x, y, z]);
    const volume = await readVolume(write('beside', places, upright));
    expect(volume.shape[0]).toBeGreaterThan(12);
    expect(volume.notes).toContain(
      'its slices lie beside each other; they are moved to their places on a wider grid',
    );
  });

  it.each(['0000', 'zzzz'])('an odd image called %s leaves the series as it is', async (file) => {
    const folder = write(`stray ${file}`, along(even), upright);
    const odd = write(`odd ${file}`, along([100]), upright, (elements) =>
      [
        [0x00080008, 'CS', 'ORIGINAL\\PRIMARY\\LOCALIZER'] as Element,
        [0x00280004, 'CS', 'PALETTE COLOR'] as Element,
        [0x00280030, 'DS', '3\\3'] as Element,
        [0x00080018, 'UI', '1.2.3.99'] as Element,
      ].reduce(replaced, elements),
    );
    renameSync(join(odd, '0'), join(folder, file));
    const volume = await readVolume(folder);
    expect(volume.shape).toEqual([12, 10, 8]);
    expectField(volume, 0.51);
  });

  it('slices of two pixel sizes are two kinds of images: none is read with the size of another', async () => {
    const folder = write('two sizes', along(even), upright, (elements, n) =>
      n < 4 ? elements : replaced(elements, [0x00280030, 'DS', '0.9\\0.9']),
    );
    await expect(readVolume(folder)).rejects.toThrow('several sizes or directions');
  });

  it('echo times and gantry tilts that tags alone tell split nothing', async () => {
    const folder = write('tags', along(even), upright, (elements, n) => [
      ...elements,
      [0x00180081, 'DS', `${n < 4 ? 1 : 2}`],
      [0x00181120, 'DS', '12'],
      [0x00201041, 'DS', `${(n * 37) % 8}`],
    ]);
    const volume = await readVolume(folder);
    expect(volume.shape).toEqual([12, 10, 8]);
    expectField(volume, 0.51);
  });

  it('an image of another direction, or without a place, is named and not used', async () => {
    const folder = write('odd', along(even), upright, (elements, n) =>
      n === 7 ? replaced(elements, [0x00200037, 'DS', '1\\0\\0\\0\\0\\-1']) : elements,
    );
    const volume = await readVolume(folder);
    expect(volume.shape).toEqual([12, 10, 7]);
    expect(volume.notes).toEqual(['an image of another size or direction is not used']);
  });

  it('slices at one place are phases, or the first of them counts', async () => {
    const phases = await readVolume(write('phases', [...along(even), ...along(even)], upright), { index: 1 });
    expect(phases.shape).toEqual([12, 10, 8]);
    expectField(phases, 0.51);
    expect(phases.notes).toEqual(['2 slices lie at every place: several phases or echoes']);
    const once = await readVolume(write('once', along([...even, 6]), upright));
    expect(once.shape).toEqual([12, 10, 8]);
    expectField(once, 0.51);
    expect(once.notes).toEqual(['a slice lies where another one does; the first of them is used']);
  });

  it.each([
    ['most slices missing', along([0, 2, 100, 102]), upright, {}, '48 of its 52 slices are missing'],
    [
      'a hole among uneven slices',
      along([0, 1, 2, 3, 4, 80, 81.07, 82.14, 83.21]),
      upright,
      {},
      'slices are missing',
    ],
    [
      'far apart',
      along(even).map(([x, y, z], n): Place => [n === 3 ? x + 500 : x, y, z]),
      upright,
      {},
      'above each other',
    ],
    ['pixels without a size', along(even), upright, { 2621488: '0\\0' }, 'no size in mm'],
    ['bits at the top', along(even), upright, { 2621697: 12 }, '12 bits up to bit 15 of 16'],
    ['a palette', along(even), upright, { 2621444: 'PALETTE COLOR' }, 'a colour picture'],
    ['more rows than pixels', along(even), upright, { 2621456: 11 }, '8 of its 8 files are cut short'],
  ] as const)('%s: it is no volume, and the reason is told', async (name, places, axes, changes, reason) => {
    const folder = write(`refused ${name}`, places, axes, (elements) =>
      elements.map(([tag, kind, value]): Element => {
        const own = (changes as Readonly<Record<number, string | number>>)[tag];
        return [tag, kind, own ?? value];
      }),
    );
    expect((await listSeries(folder)).series[0]!.unusable).toContain(reason);
  });
});

describe('a multi-frame file', () => {
  const frames = [2, 0, 4, 1, 3];
  const enhanced = (distances: readonly number[], slopes: readonly number[]): Element[] => {
    const places = along(distances);
    const groups = frames.map((n) => [
      sequence(0x00209113, placeElements(places[n]!, upright).slice(0, 1)),
      sequence(0x00289145, scaleElements(slopes[n])),
    ]);
    const shared = placeElements(places[0]!, upright).slice(1);
    return [
      ...imageElements(1, { sop: '1.2.840.10008.5.1.4.1.1.2.1' }),
      [0x00280008, 'IS', '5'],
      sequence(0x52009229, [sequence(0x00209116, shared.slice(0, 1)), sequence(0x00289110, shared.slice(1))]),
      sequence(0x52009230, ...groups),
    ];
  };
  const voxels = (distances: readonly number[], slopes: readonly number[]) =>
    frames.map((n) => slice(along(distances)[n]!, upright, slopes[n]));
  const ones = [1, 1, 1, 1, 1];

  it.each([
    ['in any order', [0, 2, 4, 6, 8], ones, 5, 0.51],
    ['with a slope of its own in each frame', [0, 2, 4, 6, 8], [1, 0.5, 2, 4, 1.5], 5, 2.01],
    ['with a missing slice', [0, 2, 4, 8, 10], ones, 6, 1.1],
    ['with uneven slices', [0, 2, 4, 7, 10], ones, 6, 1.1],
  ] as const)('%s', async (name, distances, slopes, planes, tolerance) => {
    const path = join(temporary(), `enhanced ${name}`, 'file');
    writeDicom(path, [...enhanced(distances, slopes), pixelElement(...voxels(distances, slopes))], explicit);
    const volume = await readVolume(path);
    expect(volume.shape).toEqual([12, 10, planes]);
    expectField(volume, tolerance);
  });

  it.each(['a piece for each frame', 'two pieces for each frame'])('compressed, %s', async (name) => {
    const path = join(temporary(), `enhanced, ${name}`, 'file');
    const packed = voxels(even, ones).map(runLengths);
    let [pieces, offsets] = [packed, Buffer.alloc(0)];
    if (name.startsWith('two')) {
      pieces = packed.flatMap((own) => [own.subarray(0, 100), own.subarray(100)]);
      // A frame is its two pieces, each with a head of eight bytes.
      const starts = packed.map((_, n) => packed.slice(0, n).reduce((sum, own) => sum + own.length + 16, 0));
      offsets = Buffer.from(Uint32Array.from(starts).buffer);
    }
    writeDicom(path, [...enhanced(even, ones), [0x7fe00010, 'OB', [offsets, ...pieces]]], rle);
    const volume = await readVolume(path);
    expect(volume.shape).toEqual([12, 10, 5]);
    expectField(volume, 0.51);
  });
});
