import { describe, expect, test } from 'vitest';
import { blend, extractPatch, InvalidArgument, type Patch, planGrid, VoxelMemory } from '../../src/index';
import { ErrorSums } from '../../src/internal';
import { SimdThreads } from '../../src/memory/simd-threads';
import { Random } from '../../src/random';

function noise(array: Float32Array, stream: string): Float32Array {
  const random = new Random(3, stream);
  for (let i = 0; i < array.length; i++) array[i] = random.next() * 2000 - 1000;
  return array;
}

/** Compared as bytes, because vitest takes seconds for so many values. */
function same(a: Float32Array, b: Float32Array): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
    Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
  return bytes(a).equals(bytes(b));
}

describe('memory', () => {
  test('arrays are zero and apart, also where memory was used before', () => {
    const memory = new VoxelMemory();
    const gap = memory.allocate(40_000)!;
    const after = memory.floats(7);
    memory.view(gap, 10_000).fill(5);
    memory.release(gap, 40_000);
    const arrays = [memory.floats(100), memory.floats(3000), memory.floats(100_000)];
    for (const [i, array] of arrays.entries()) {
      expect(array.every((value) => value === 0)).toBe(true);
      array.fill(i + 1);
    }
    expect(arrays.map((array) => new Set(array).size)).toEqual([1, 1, 1]);
    expect([...after]).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  test('freed bytes are used again, neighbouring gaps as one', () => {
    const memory = new VoxelMemory();
    const places = [1, 2, 3, 4].map(() => memory.allocate(6400)!);
    memory.floats(1);
    for (const n of [1, 3, 2]) memory.release(places[n]!, 6400);
    expect(memory.allocate(3 * 6400)).toBe(places[1]);
  });

  test('more than 4 GiB is refused', () => {
    const memory = new VoxelMemory();
    expect(() => memory.floats(2 ** 30)).toThrow(InvalidArgument);
    expect(memory.floats(10)).toHaveLength(10);
  });
});

test('calls of many threads on the same place keep their order', () => {
  const memory = new VoxelMemory();
  const n = 4096;
  const [patch, ones] = [memory.floats(n).fill(1), memory.floats(n).fill(1)];
  const threads = new SimdThreads('patch', memory, ['addPlane'], 4);
  // Each call clears the plane and adds its own number: the last one must be the last.
  for (let round = 0; round < 5; round++) {
    const slab = memory.floats(n);
    let last = -1;
    for (let k = 1; k <= 3000; k++) {
      const at = slab.byteOffset;
      const call = [at, n, patch.byteOffset, n, 1, n, ones.byteOffset, ones.byteOffset, k, at, 4 * n];
      last = threads.send(0, call, last);
    }
    threads.finish();
    expect(new Set(slab)).toEqual(new Set([3000]));
  }
  threads.end();
});

describe('a volume in memory', () => {
  const shape = [70, 66, 58] as const;
  const memory = new VoxelMemory();
  const volume = noise(memory.floats(shape[0] * shape[1] * shape[2]), 'volume');
  const plain = Float32Array.from(volume);
  const grid = planGrid(shape, { patch: [32, 24, 16], overlap: [0.5, 5, 0.25] });

  test('is cut into the same patches', () => {
    const out = memory.floats(32 * 24 * 16);
    for (let index = 0; index < grid.patches; index++) {
      const cut = extractPatch(volume, grid, index, out);
      expect(same(cut, extractPatch(plain, grid, index))).toBe(true);
    }
  });

  test('with padding and channels too', () => {
    const small = planGrid([12, 11, 10], { patch: [16, 8, 8] });
    const data = noise(memory.floats(2 * 12 * 11 * 10), 'channels');
    const out = memory.floats(2 * 16 * 8 * 8);
    for (let index = 0; index < small.patches; index++) {
      const cut = extractPatch(data, small, index, out, { channels: 2, pad: 'reflect' });
      const expected = extractPatch(Float32Array.from(data), small, index, undefined, {
        channels: 2,
        pad: 'reflect',
      });
      expect(same(cut, expected)).toBe(true);
    }
  });

  test('blends to the same bits with any number of threads, in its memory or another', async () => {
    function* patches(room: () => Float32Array): Generator<Patch> {
      for (let index = 0; index < grid.patches; index++)
        yield { index, data: extractPatch(volume, grid, index, room()) };
    }
    const one = await blend(grid, patches, { threads: 1 });
    expect(one.every((value, i) => Math.abs(value - plain[i]!) < 1e-3)).toBe(true);
    for (const threads of [1, 2, 3, 5]) {
      expect(same(await blend(grid, patches, { threads, memory }), one)).toBe(true);
      expect(same(await blend(grid, patches, { threads }), one)).toBe(true);
    }
    expect(same(volume, plain)).toBe(true);
  });

  test('blends in memory that is full of something else, patches in any order', async () => {
    const used = new VoxelMemory();
    const address = used.allocate(2 ** 24)!;
    used.view(address, 2 ** 22).fill(Number.NaN);
    used.release(address, 2 ** 24);
    const random = new Random(8, 'order');
    for (let n = 0; n < 5; n++) {
      const order = Array.from({ length: grid.patches }, (_, index) => ({ index, at: random.next() }));
      order.sort((a, b) => a.at - b.at);
      const patches = order.map(({ index }) => ({ index, data: extractPatch(plain, grid, index) }));
      const out = await blend(grid, patches, { threads: 3, memory: used });
      expect(out.every((value, i) => Math.abs(value - plain[i]!) < 1e-3)).toBe(true);
      used.view(address, 2 ** 22).fill(Number.NaN);
    }
  });

  test('gives its memory back, so that blending again does not grow it', async () => {
    function* patches(room: () => Float32Array): Generator<Patch> {
      for (let index = 0; index < grid.patches; index++)
        yield { index, data: extractPatch(volume, grid, index, room()) };
    }
    await blend(grid, patches, { threads: 2, memory });
    const before = memory.shared.buffer.byteLength;
    for (let n = 0; n < 3; n++) await blend(grid, patches, { threads: 2, memory });
    expect(memory.shared.buffer.byteLength).toBe(before);
  });
});

test('errors are the same of arrays in memory, read by threads, and of others', () => {
  const n = 3 * 2 ** 18 + 12_345;
  const memory = new VoxelMemory();
  const [reference, candidate] = [noise(memory.floats(n), 'reference'), noise(memory.floats(n), 'candidate')];
  candidate[n - 3] = 1e5;
  let absolute = 0;
  let squared = 0;
  for (let i = 0; i < n; i++) {
    absolute += Math.abs(candidate[i]! - reference[i]!);
    squared += (candidate[i]! - reference[i]!) ** 2;
  }
  const plain = new ErrorSums().add(Float32Array.from(reference), Float32Array.from(candidate));
  const first = new ErrorSums().add(reference, candidate);
  for (const sums of [first, plain, new ErrorSums().add(reference, candidate)]) {
    expect(sums.mae / (absolute / n)).toBeCloseTo(1, 6);
    expect(sums.mse / (squared / n)).toBeCloseTo(1, 6);
    expect(sums.greatest).toBe(Math.abs(1e5 - reference[n - 3]!));
  }
  // Shares have their own sums, so that threads do not change a bit.
  expect(new ErrorSums().add(reference, candidate).mse).toBe(first.mse);
  candidate[5] = Number.NaN;
  const broken = new ErrorSums().add(reference, candidate);
  expect([broken.mae, broken.mse, broken.greatest]).toEqual([NaN, NaN, NaN]);
});
