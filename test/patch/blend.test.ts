import { describe, expect, test } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { type BlendOptions, blend, blendSlabs, type Patch } from '../../src/patch/blend';
import { extractPatch, extractPatches } from '../../src/patch/extract';
import { type Grid, planGrid } from '../../src/patch/grid';
import { selectForeground } from '../../src/patch/select';
import { windowNames } from '../../src/patch/windows';
import { Random } from '../../src/random';
import type { Vec3 } from '../../src/vec3';
import type { Slab } from '../../src/volume/write';
import { greatestDifference, noise, randomGrid } from './volumes';

const proper = windowNames.filter((name) => name !== 'seed-linear');

function shuffled(grid: Grid, data: Float32Array, seed: number, channels = 1): Patch[] {
  const patches = [...extractPatches(data, grid, { channels })];
  return new Random(seed, 'order').permutation(patches.length).map((i) => patches[i]!);
}

async function collect(slabs: AsyncIterable<Slab>): Promise<Slab[]> {
  const all: Slab[] = [];
  for await (const slab of slabs) all.push(slab);
  return all;
}

describe.each(proper)('identity round trip, %s', (window) => {
  const sizes: [string, Vec3, Vec3, Vec3][] = [
    ['that divides', [16, 16, 12], [8, 8, 4], [4, 4, 4]],
    ['that does not divide', [17, 19, 23], [8, 8, 8], [6, 5, 7]],
    ['like the guide, an eighth of it', [64, 64, 75], [32, 32, 16], [24, 24, 12]],
    ['equal to the patch', [9, 8, 7], [9, 8, 7], [4, 4, 4]],
    ['smaller than the patch', [5, 6, 7], [8, 16, 9], [3, 3, 3]],
    ['smaller on one axis only', [5, 20, 7], [8, 8, 4], [3, 3, 3]],
    ['of one voxel', [1, 1, 1], [4, 4, 4], [2, 2, 2]],
    ['without overlap', [20, 20, 20], [8, 8, 8], [8, 8, 8]],
  ];
  test.each(sizes)('of a volume %s', async (_, volume, patch, stride) => {
    for (const layout of ['snapped', 'even'] as const) {
      const grid = planGrid(volume, { patch, stride, layout });
      const data = noise(volume, 1);
      const blended = await blend(grid, extractPatches(data, grid), { window });
      expect(greatestDifference(blended, data)).toBeLessThanOrEqual(1e-6);
    }
  });

  test('of 150 random grids, patches in random order, one to three channels', async () => {
    const random = new Random(5, window);
    for (let i = 0; i < 150; i++) {
      const grid = randomGrid(random);
      const channels = 1 + random.below(3);
      const data = noise(grid.volume, i, channels);
      const blended = await blend(grid, shuffled(grid, data, i, channels), { window, channels });
      expect(greatestDifference(blended, data)).toBeLessThanOrEqual(1e-6);
    }
  });

  test('constant in, constant out', async () => {
    const grid = planGrid([37, 41, 29], { patch: [16, 16, 8], stride: [12, 12, 6] });
    const data = new Float32Array(37 * 41 * 29).fill(-1000);
    const blended = await blend(grid, extractPatches(data, grid), { window });
    expect(greatestDifference(blended, data)).toBeLessThanOrEqual(1000e-6);
  });
});

test('seed-linear gives planes of zeros and is right elsewhere', async () => {
  const grid = planGrid([64, 64, 75], { patch: [32, 32, 16], stride: [24, 24, 12] });
  const data = new Float32Array(64 * 64 * 75).fill(1);
  const blended = await blend(grid, extractPatches(data, grid), { window: 'seed-linear' });
  const zeros = blended.filter((value) => value === 0).length;
  // Planes 0 and 16 of x and of y; planes 0, 8, 20, 32, 44, 56 and 67 of z.
  expect(zeros).toBe(64 * 64 * 75 - 62 * 62 * 68);
  expect(blended.every((value) => value === 0 || Math.abs(value - 1) < 1e-6)).toBe(true);
});

test('blending is the weighted mean of the patches, computed the plain way', async () => {
  const grid = planGrid([13, 11, 12], { patch: [6, 5, 7], stride: [4, 4, 3] });
  const patches = Array.from({ length: grid.patches }, (_, index) => ({
    index,
    data: noise(grid.patch, index),
  }));
  const blended = await blend(grid, patches, { window: 'hann' });
  const shape = (n: number, i: number) => Math.sin((Math.PI * (i + 0.5)) / n) ** 2;
  const sums = new Float64Array(blended.length);
  const weights = new Float64Array(blended.length);
  patches.forEach(({ index, data }) => {
    const [nx, ny] = grid.counts;
    const sx = grid.starts[0][index % nx]!;
    const sy = grid.starts[1][Math.floor(index / nx) % ny]!;
    const sz = grid.starts[2][Math.floor(index / nx / ny)]!;
    for (let z = 0; z < 7; z++)
      for (let y = 0; y < 5; y++)
        for (let x = 0; x < 6; x++) {
          const weight = shape(6, x) * shape(5, y) * shape(7, z);
          const voxel = ((sz + z) * 11 + sy + y) * 13 + sx + x;
          sums[voxel]! += weight * data[(z * 5 + y) * 6 + x]!;
          weights[voxel]! += weight;
        }
  });
  const plain = Float32Array.from(sums, (sum, i) => sum / weights[i]!);
  expect(greatestDifference(blended, plain)).toBeLessThanOrEqual(2e-6);
});

describe('slabs', () => {
  const grid = planGrid([10, 9, 40], { patch: [6, 6, 8], stride: [4, 4, 6] });
  const data = noise(grid.volume, 2);

  test('come in ascending z as soon as the layers that cover them are complete', async () => {
    let given = 0;
    const source = function* (): Generator<Patch> {
      for (const patch of extractPatches(data, grid)) {
        given = patch.index + 1;
        yield patch;
      }
    };
    let next = 0;
    const perLayer = grid.counts[0] * grid.counts[1];
    for await (const slab of blendSlabs(grid, source())) {
      expect(slab.z).toBe(next);
      next += slab.depth;
      const lastLayer = grid.starts[2].findLastIndex((start) => start < next);
      expect(given).toBe((lastLayer + 1) * perLayer);
      expect(greatestDifference(slab.data, data.subarray(slab.z * 90, next * 90))).toBeLessThanOrEqual(1e-6);
    }
    expect(next).toBe(40);
  });

  test('come out of order where the patches do, and in order when asked', async () => {
    const layersReversed = [...extractPatches(data, grid)].reverse();
    const free = await collect(blendSlabs(grid, layersReversed));
    expect(free[0]!.z).toBeGreaterThan(0);
    const ordered = await collect(blendSlabs(grid, layersReversed, { ordered: true }));
    expect(ordered.map((slab) => slab.z)).toEqual([...free.map((slab) => slab.z)].sort((a, b) => a - b));
    for (const slab of [...free, ...ordered]) {
      const part = data.subarray(slab.z * 90, (slab.z + slab.depth) * 90);
      expect(greatestDifference(slab.data, part)).toBeLessThanOrEqual(1e-6);
    }
  });

  test('hold no more planes at a time for a volume ten times as deep', async () => {
    const planesHeld = async (depth: number) => {
      const deep = planGrid([10, 9, depth], { patch: [6, 6, 8], stride: [4, 4, 6] });
      const patch = new Float32Array(6 * 6 * 8);
      const source = function* (): Generator<Patch> {
        for (let index = 0; index < deep.patches; index++) {
          const lastPlane = deep.starts[2][Math.floor(index / (deep.counts[0] * deep.counts[1]))]! + 8;
          held = Math.max(held, lastPlane - given);
          yield { index, data: patch };
        }
      };
      let held = 0;
      let given = 0;
      for await (const slab of blendSlabs(deep, source())) given += slab.depth;
      expect(given).toBe(depth);
      return held;
    };
    expect(await planesHeld(404)).toBe(await planesHeld(44));
    expect(await planesHeld(404)).toBeLessThanOrEqual(8 + 6);
  });
});

describe('patches that are left out', () => {
  const grid = planGrid([12, 8, 8], { patch: [8, 8, 8], stride: [4, 8, 8] });
  const data = new Float32Array(12 * 8 * 8).fill(1);

  test('count as patches of the fill value', async () => {
    const [first] = [...extractPatches(data, grid)];
    const options: BlendOptions = { window: 'linear', skip: [1], fill: -1 };
    const blended = await blend(grid, [first!], options);
    const row = [...blended.subarray(0, 12)];
    expect(row.slice(0, 4)).toEqual([1, 1, 1, 1]);
    expect(row.slice(8)).toEqual([-1, -1, -1, -1]);
    expect(row[4]).toBeCloseTo(3.5 / 4 - 0.5 / 4, 6);
    expect(row[7]).toBeCloseTo(0.5 / 4 - 3.5 / 4, 6);
  });

  test('are those without foreground, and the model is not asked for them', async () => {
    const volume: Vec3 = [40, 12, 12];
    const sparse = new Float32Array(40 * 12 * 12).fill(-1000);
    sparse[5] = 40;
    const wide = planGrid(volume, { patch: [12, 12, 12], stride: [10, 12, 12] });
    const { keep, skip } = selectForeground(sparse, wide, { above: -200 });
    expect([keep, skip]).toEqual([[0], [1, 2, 3]]);
    const patches = keep.map((index) => ({ index, data: extractPatch(sparse, wide, index) }));
    const blended = await blend(wide, patches, { skip, fill: -1000 });
    expect(greatestDifference(blended, sparse)).toBeLessThan(1e-3);
    expect(selectForeground(sparse, wide, { above: -200, part: 0.01 }).keep).toEqual([]);
    expect(selectForeground(sparse, wide, { above: -1001, part: 0.99 }).keep).toEqual([0, 1, 2, 3]);
    expect(() => selectForeground(sparse, wide, { above: Number.NaN })).toThrow(InvalidArgument);
    expect(() => selectForeground(sparse, wide, { above: 0, part: 1 })).toThrow(InvalidArgument);
  });

  test('and voxels outside a mask are filled', async () => {
    const mask = new Uint8Array(data.length);
    mask[3] = 1;
    const blended = await blend(grid, extractPatches(data, grid), { mask, fill: -5 });
    expect(blended[3]).toBe(1);
    expect(blended.filter((value) => value === -5).length).toBe(data.length - 1);
    await expect(blend(grid, extractPatches(data, grid), { mask: new Uint8Array(7) })).rejects.toThrow(
      InvalidArgument,
    );
  });
});

describe('wrong patches', () => {
  const grid = planGrid([12, 12, 12], { patch: [8, 8, 8], stride: [4, 4, 4] });
  const patches = [...extractPatches(noise(grid.volume, 1), grid)];
  const wrong: [string, Patch[], string][] = [
    ['a missing patch', patches.filter(({ index }) => index !== 3), '1 missing, the first is 3'],
    ['no patch at all', [], '8 missing'],
    ['a patch twice', [...patches.slice(0, 4), patches[2]!], 'patch 2 twice'],
    ['a patch too small', [{ index: 0, data: new Float32Array(511) }], 'expected 512 values'],
    ['a patch of another grid', [{ index: 8, data: new Float32Array(512) }], 'a patch of the grid, 0 to 7'],
  ];
  test.each(wrong)('%s', async (_, list, message) => {
    await expect(blend(grid, list)).rejects.toThrow(InvalidArgument);
    await expect(blend(grid, list)).rejects.toThrow(message);
  });

  test('an array to blend into of another size, or no channels', async () => {
    await expect(blend(grid, patches, { out: new Float32Array(9) })).rejects.toThrow(InvalidArgument);
    await expect(blend(grid, patches, { channels: 0 })).rejects.toThrow(InvalidArgument);
  });

  test('the source is closed when a patch is refused or the call is aborted', async () => {
    let closed = 0;
    const source = function* (): Generator<Patch> {
      try {
        yield* patches;
      } finally {
        closed++;
      }
    };
    await expect(blend(grid, source(), { channels: 2 })).rejects.toThrow(InvalidArgument);
    const abort = new AbortController();
    const onProgress = ({ done }: { done: number }) => done === 3 && abort.abort();
    await expect(blend(grid, source(), { signal: abort.signal, onProgress })).rejects.toThrow('abort');
    expect(closed).toBe(2);
  });
});

test('progress counts the patches', async () => {
  const grid = planGrid([12, 12, 12], { patch: [8, 8, 8], stride: [4, 4, 4] });
  const seen: string[] = [];
  await blend(grid, [...extractPatches(noise(grid.volume, 1), grid)].slice(1), {
    skip: [0],
    onProgress: ({ done, total, what }) => seen.push(`${done}/${total} ${what}`),
  });
  expect(seen).toHaveLength(8);
  expect(seen.at(-1)).toBe('8/8 patches');
});

describe.each([0, 1, 2, 3])('with %i threads (0: plain JavaScript)', (threads) => {
  test('the volume is the same to rounding, patches in any order', async () => {
    const grid = planGrid([37, 29, 41], { patch: [16, 12, 10], stride: [12, 9, 7] });
    const patches = Array.from({ length: grid.patches }, (_, index) => ({
      index,
      data: noise(grid.patch, index),
    }));
    const expected = await blend(grid, patches, { threads: 1 });
    expect(greatestDifference(await blend(grid, patches, { threads }), expected)).toBeLessThan(1e-6);
  });

  test('padding, channels and rows that do not fill a vector come back', async () => {
    const random = new Random(9, threads);
    for (let i = 0; i < (threads > 1 ? 8 : 40); i++) {
      const grid = randomGrid(random);
      const channels = 1 + random.below(3);
      const data = noise(grid.volume, i, channels);
      const blended = await blend(grid, shuffled(grid, data, i, channels), { threads, channels });
      expect(greatestDifference(blended, data)).toBeLessThanOrEqual(1e-6);
    }
  });
});

test.each([0, 1, 2, 3])(
  'patches written where the blender reads them come back, %i threads',
  async (threads) => {
    const random = new Random(13, threads);
    for (let i = 0; i < 8; i++) {
      const grid = randomGrid(random);
      const data = noise(grid.volume, i);
      const source = function* (room: () => Float32Array): Generator<Patch> {
        for (const index of random.permutation(grid.patches)) {
          yield { index, data: extractPatch(data, grid, index, room()) };
        }
      };
      expect(greatestDifference(await blend(grid, source, { threads }), data)).toBeLessThanOrEqual(1e-6);
    }
  },
);

test('two blends at a time do not disturb each other, and the result is the same each time', async () => {
  const grid = planGrid([40, 40, 40], { patch: [16, 16, 16], stride: [12, 12, 12] });
  const patches = (seed: number) =>
    Array.from({ length: grid.patches }, (_, index) => ({ index, data: noise(grid.patch, seed + index) }));
  const one = () => blend(grid, patches(0), { threads: 2 });
  const [a, b, other] = await Promise.all([
    one(),
    one(),
    blend(grid, patches(500), { threads: 2, window: 'hann' }),
  ]);
  expect(a).toEqual(b);
  expect(greatestDifference(a, other)).toBeGreaterThan(0.1);
});

test('slabs that are lent hold their values until the next is asked for', async () => {
  const grid = planGrid([10, 9, 40], { patch: [6, 6, 8], stride: [4, 4, 6] });
  const data = noise(grid.volume, 2);
  let planes = 0;
  for await (const slab of blendSlabs(grid, extractPatches(data, grid), { reuse: true })) {
    const part = data.subarray(slab.z * 90, (slab.z + slab.depth) * 90);
    expect(greatestDifference(slab.data, part)).toBeLessThanOrEqual(1e-6);
    planes += slab.depth;
  }
  expect(planes).toBe(40);
});

test('a reader that stops early ends the threads and closes the source', async () => {
  const grid = planGrid([10, 9, 40], { patch: [6, 6, 8], stride: [4, 4, 6] });
  let closed = false;
  const source = function* (): Generator<Patch> {
    try {
      yield* extractPatches(noise(grid.volume, 2), grid);
    } finally {
      closed = true;
    }
  };
  for await (const _ of blendSlabs(grid, source(), { threads: 2 })) break;
  expect(closed).toBe(true);
});
