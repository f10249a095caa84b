import { describe, expect, it } from 'vitest';
import {
  coarseScaling,
  fineScaling,
  joined,
  type Scaling,
  store,
  surveyOf,
} from '../../../src/plot/volume/stored-numbers';
import { NO_VALUE } from '../../../src/volumes-bundle';

const read = (stored: Int16Array, { slope, intercept }: Scaling) =>
  Array.from(stored, (n) => (n === NO_VALUE ? Number.NaN : slope * n + intercept));
const fine = (values: Float32Array, units: 'HU' | '' = '') => fineScaling(surveyOf(values), units, values);
const back = (values: Float32Array, scaling: Scaling) => read(store(values, scaling), scaling);
const errorOf = (values: Float32Array, scaling: Scaling) =>
  Math.max(...back(values, scaling).map((value, n) => Math.abs(value - values[n]!)));
const ramp = (count: number, low: number, high: number) =>
  Float32Array.from({ length: count }, (_, n) => low + ((high - low) * n) / (count - 1));

describe('numbers at full resolution', () => {
  it.each([
    ['Hounsfield units', -1024, 3071],
    ['all that int16 holds but one', -32767, 32767],
    ['uint16', 1, 65535],
    ['far from 0', 1_000_000, 1_060_000],
  ])('are exact for whole numbers: %s', (_, low, high) => {
    const values = Float32Array.from({ length: high - low + 1 }, (_, n) => low + n);
    expect(back(values, fine(values, 'HU'))).toEqual([...values]);
  });

  it('round Hounsfield units to quarters', () => {
    const values = ramp(999, -1000.3, 1500.7);
    expect(fine(values, 'HU')).toEqual({ slope: 0.25, intercept: 0 });
    expect(errorOf(values, fine(values, 'HU'))).toBeLessThanOrEqual(0.125 + 1e-3);
  });

  it.each([
    ['a model’s values', -1, 1],
    ['large and positive', 1e12, 3e12],
    ['tiny', 0, 1e-20],
  ])('keep 16 bits of any range: %s', (_, low, high) => {
    const values = ramp(999, low, high);
    expect(errorOf(values, fine(values))).toBeLessThanOrEqual(((high - low) / 65534) * 0.51);
  });

  it('keep the many when a few are far away', () => {
    const values = ramp(9999, 0, 1);
    values[5] = 1e9;
    const scaling = fine(values);
    const inside = values.filter((value) => value < 2);
    expect(errorOf(inside, scaling)).toBeLessThan(1 / 1000);
    expect(read(store(Float32Array.of(1e9), scaling), scaling)[0]).toBeGreaterThan(1); // the end of the range
  });

  it('say where there is no value', () => {
    const values = Float32Array.of(-5, Number.NaN, Number.POSITIVE_INFINITY, 7, Number.NEGATIVE_INFINITY);
    expect([...store(values, fine(values))]).toEqual([-5, NO_VALUE, NO_VALUE, 7, NO_VALUE]);
    const empty = Float32Array.of(Number.NaN, Number.NaN);
    expect([...store(empty, fine(empty))]).toEqual([NO_VALUE, NO_VALUE]);
  });

  it('keep a constant', () => {
    for (const value of [0, -1000, 0.3, 1e9])
      expect(back(Float32Array.of(value, value), fine(Float32Array.of(value, value)))[0]).toBeCloseTo(
        value,
        6,
      );
  });
});

it('previews round Hounsfield units to 2, and other values to 1 of some 500', () => {
  const hounsfield = ramp(5000, -1024, 1500);
  expect(coarseScaling(surveyOf(hounsfield), 'HU', hounsfield)).toEqual({ slope: 2, intercept: 0 });
  const values = ramp(5000, -1, 1);
  const { slope } = coarseScaling(surveyOf(values), '', values);
  expect(slope).toBeCloseTo(2 / 511, 3);
});

it('a survey of parts is that of the whole', () => {
  const values = Float32Array.of(3, Number.NaN, -7.5, 2, Number.POSITIVE_INFINITY, 9, Number.NaN);
  const parts = [values.subarray(0, 2), values.subarray(2, 5), values.subarray(5, 6), values.subarray(6)];
  expect(parts.map(surveyOf).reduce(joined)).toEqual(surveyOf(values));
  expect(surveyOf(values)).toEqual({ low: -7.5, high: 9, isWhole: false });
});
