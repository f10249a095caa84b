import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { ErrorSums, mae, psnr, rmse } from '../../src/fidelity/error-sums';
import { msSsim } from '../../src/fidelity/ms-ssim';
import { ssimMap } from '../../src/fidelity/places';
import { SsimSums, ssim } from '../../src/fidelity/ssim';
import { Random } from '../../src/random';
import type { Vec3 } from '../../src/vec3';

interface Case {
  readonly name: string;
  readonly shape: Vec3;
  readonly low: number;
  readonly high: number;
  readonly noise: number;
  readonly checksum: readonly [number, number];
  readonly psnr: number;
  readonly ssim: number;
  readonly msSsim: number;
  readonly shiftedSsim: number;
  readonly shiftedMsSsim: number;
  readonly mae: number;
  readonly rmse: number;
}

const fixture = join(__dirname, '../fixtures/metrics/metrics.json');
const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as { cases: readonly Case[] };

/** The volumes of test/fixtures/metrics/generate.py. */
function pair({ shape, low, high, noise }: Case): [Float32Array, Float32Array] {
  const [nx, ny, nz] = shape;
  const reference = new Float32Array(nx * ny * nz);
  const candidate = new Float32Array(nx * ny * nz);
  for (let z = 0, i = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, i++) {
        const smooth = 0.5 + 0.25 * Math.sin(0.37 * x + 0.11 * z) + 0.25 * Math.cos(0.23 * y - 0.19 * z);
        const rough = (((x * 73 + y * 179 + z * 283) * 2654435761) % 4294967296) / 4294967296 - 0.5;
        const value = low + (high - low) * smooth;
        reference[i] = value;
        candidate[i] = value + (high - low) * noise * (rough + 0.2 * Math.sin(0.9 * y));
      }
  return [reference, candidate];
}

const total = (data: Float32Array) => data.reduce((sum, value) => sum + value, 0);

describe.each(cases)('as scikit-image: $name', (one) => {
  const [a, b] = pair(one);
  const dataRange = one.high - one.low;

  test('the test sees the volumes that scikit-image saw', () => {
    expect(Math.abs(total(a) - one.checksum[0])).toBeLessThan(1e-6 * dataRange * a.length);
    expect(Math.abs(total(b) - one.checksum[1])).toBeLessThan(1e-6 * dataRange * a.length);
  });

  test('PSNR, SSIM, MS-SSIM, MAE, RMSE', () => {
    expect(Math.abs(psnr(a, b, { dataRange }) - one.psnr)).toBeLessThan(1e-5);
    expect(Math.abs(ssim(a, b, { shape: one.shape, dataRange }) - one.ssim)).toBeLessThan(1e-5);
    expect(Math.abs(msSsim(a, b, { shape: one.shape, dataRange }) - one.msSsim)).toBeLessThan(1e-5);
    const window = { shape: one.shape, dataRange, low: one.low };
    expect(Math.abs(ssim(a, b, window) - one.shiftedSsim)).toBeLessThan(1e-5);
    expect(Math.abs(msSsim(a, b, window) - one.shiftedMsSsim)).toBeLessThan(1e-5);
    expect(Math.abs(mae(a, b) / one.mae - 1)).toBeLessThan(1e-5);
    expect(Math.abs(rmse(a, b) / one.rmse - 1)).toBeLessThan(1e-5);
  });
});

test('one window has one SSIM, whatever its units', () => {
  const one = cases.find(({ name }) => name === 'Hounsfield units')!;
  const [a, b] = pair(one);
  const { shape, low, high } = one;
  const measured = [
    [-1000, 400],
    [0, 255],
    [-1, 1],
    [0, 1],
    [24, 2024],
  ].map(([from, to]) => {
    const map = (data: Float32Array) =>
      data.map((value) => from! + ((value - low) / (high - low)) * (to! - from!));
    const options = { shape, dataRange: to! - from!, low: from! };
    const [x, y] = [map(a), map(b)];
    const local = ssimMap(x, y, options).filter((value) => !Number.isNaN(value));
    const mean = local.reduce((sum, value) => sum + value, 0) / local.length;
    return [ssim(x, y, options), msSsim(x, y, options), mean];
  });
  for (const values of measured)
    values.forEach((value, i) => {
      expect(Math.abs(value - measured[0]![i]!)).toBeLessThan(2e-6);
    });
});

test('windows in which the reference is NaN are left out of SSIM', () => {
  const [a, b] = pair(cases[0]!);
  const { shape } = cases[0]!; // 24 x 20 x 18, so 14 x 10 x 8 windows
  const options = { shape, dataRange: 2, low: -1 };
  const local = ssimMap(a, b, options);
  const [x, y, z] = [17, 9, 8];
  a[(z * shape[1] + y) * shape[0] + x] = Number.NaN;
  const [holed, sums] = [ssimMap(a, b, options), new SsimSums(options)];
  const left = holed.filter((value) => !Number.isNaN(value));
  const expected = local.filter((_, i) => !Number.isNaN(holed[i]!));
  expect(left.length).toBe((14 - 7) * 10 * 8); // centres from x = 12 to 18 see it, at each y and z
  const mean = expected.reduce((sum, value) => sum + value, 0) / expected.length;
  expect(ssim(a, b, options)).toBeCloseTo(mean, 6);
  expect(ssim(a.fill(Number.NaN), b, options)).toBeNaN();
  // NaN of the candidate alone is no gap in the truth.
  expect(ssim(b, a, options)).toBeNaN();
  expect(sums.windows).toBe(0);
});

test('equal volumes: Infinity dB, SSIM 1, no error', () => {
  const [a] = pair(cases[0]!);
  expect(psnr(a, a, { dataRange: 2 })).toBe(Infinity);
  expect(ssim(a, a, { shape: cases[0]!.shape, dataRange: 2 })).toBeCloseTo(1, 12);
  expect(mae(a, a)).toBe(0);
});

test('sums over pieces are those of the whole', () => {
  const [a, b] = pair(cases[1]!);
  const sums = new ErrorSums();
  for (let i = 0; i < a.length; i += 1000) sums.add(a.subarray(i, i + 1000), b.subarray(i, i + 1000));
  expect(sums.count).toBe(a.length);
  expect(Math.abs(sums.mae / mae(a, b) - 1)).toBeLessThan(5e-7); // runs of single precision begin elsewhere
  expect(sums.psnr({ dataRange: 1400 })).toBeCloseTo(psnr(a, b, { dataRange: 1400 }), 5);
});

test('the fast sums of float32 are close to those of double precision, for any length', () => {
  const random = new Random(5, 'errors');
  for (const length of [1, 3, 4, 7, 32768, 32769, 70001]) {
    const a = Float32Array.from({ length }, () => random.normal() * 1000);
    const b = Float32Array.from({ length }, () => random.normal() * 1000);
    const plain = new ErrorSums().add(Float64Array.from(a), Float64Array.from(b));
    const fast = new ErrorSums().add(a, b);
    expect(Math.abs(fast.mae / plain.mae - 1)).toBeLessThan(5e-7);
    expect(Math.abs(fast.mse / plain.mse - 1)).toBeLessThan(5e-7);
  }
  expect(mae(Float32Array.of(1, Number.NaN), Float32Array.of(1, 2))).toBeNaN();
});

test('integers are measured as they are', () => {
  expect(mae(Int16Array.of(-1000, 0), Int16Array.of(-990, 20))).toBe(15);
  expect(rmse(Int16Array.of(-1000, 0), Float32Array.of(-990, 20))).toBeCloseTo(Math.sqrt(250), 12);
});

test('what cannot be measured is refused', () => {
  const a = new Float32Array(1331);
  expect(() => psnr(a, new Float32Array(5), { dataRange: 1 })).toThrow(InvalidArgument);
  expect(() => psnr(new Float32Array(0), new Float32Array(0), { dataRange: 1 })).toThrow(InvalidArgument);
  for (const dataRange of [0, -1, Number.NaN, Infinity]) {
    expect(() => psnr(a, a, { dataRange })).toThrow(InvalidArgument);
    expect(() => ssim(a, a, { dataRange, shape: [11, 11, 11] })).toThrow(InvalidArgument);
  }
  expect(() => ssim(a, a, { dataRange: 1, shape: [11, 121, 1] })).toThrow('at least 11 voxels');
  expect(() => ssim(a, a, { dataRange: 1, shape: [11, 11, 12] })).toThrow(InvalidArgument);
  for (const scales of [0, 6, 1.5]) {
    expect(() => msSsim(a, a, { dataRange: 1, shape: [11, 11, 11], scales })).toThrow(InvalidArgument);
  }
  // The message has the caller's shape, not that of a coarser scale.
  const cube = new Float32Array(50 ** 3);
  const deep = () => msSsim(cube, cube, { dataRange: 1, shape: [50, 50, 50], scales: 5 });
  expect(deep).toThrow(/shape.*176 voxels on every axis for 5 scales.*\[50, ?50, ?50\]/s);
  expect(() => ssim(a, a, { dataRange: 1, low: Number.NaN, shape: [11, 11, 11] })).toThrow(InvalidArgument);
  const sums = new SsimSums({ dataRange: 1, shape: [11, 11, 11] });
  expect(() => sums.addPlane(a.subarray(0, 120), a.subarray(0, 121))).toThrow(InvalidArgument);
});

test('a call that is aborted ends', () => {
  const [a, b] = pair(cases[0]!);
  const abort = new AbortController();
  const onProgress = ({ done }: { done: number }) => done === 4 && abort.abort();
  const options = { shape: cases[0]!.shape, dataRange: 2, signal: abort.signal, onProgress };
  expect(() => ssim(a, b, options)).toThrow('abort');
});

test('MS-SSIM of opposites is 0, not NaN', () => {
  const [a] = pair(cases[0]!);
  const [up, down] = [a.map((value) => 2 + value), a.map((value) => 2 - value)];
  expect(msSsim(up, down, { shape: cases[0]!.shape, dataRange: 2 })).toBe(0);
});
