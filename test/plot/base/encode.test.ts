import { describe, expect, it } from 'vitest';
import { decodePicture, encodePicture } from '../../../src/plot/base/encode';

describe('encodePicture', () => {
  const cases: [string, number[], string, number][] = [
    ['display levels', [0, 128, 255, 7], 'u1', 0],
    ['small differences', [-128, 0, 127, 1], 'i1', 0],
    ['Hounsfield units', [-1024, 0, 3071, 40], 'i2', 0],
    ['reconstructed Hounsfield units, to one unit', [-1000.4, 12.6, 500.5, 0.2], 'i2', 0.5],
    ['a narrow range, exactly', [0.1, 0.2, 0.30000001192, -3.5], 'f4', 1e-7],
    ['values with gaps', [1, Number.NaN, 300, 4], 'f4', 0],
    ['more than 16 bits', [0, 70_000, 5, 6], 'f4', 0],
  ];
  it.each(cases)('%s', (_, values, dtype, tolerance) => {
    const encoded = encodePicture(Float32Array.from(values), 2, 2);
    expect(encoded.dtype).toBe(dtype);
    expect(encoded.shape).toBe('2, 2');
    const decoded = decodePicture(JSON.parse(JSON.stringify(encoded)));
    expect([decoded.rows, decoded.columns]).toEqual([2, 2]);
    decoded.values.forEach((value, i) => {
      if (Number.isNaN(values[i])) expect(value).toBeNaN();
      else expect(Math.abs(value - values[i]!)).toBeLessThanOrEqual(tolerance);
    });
  });

  it('reads a view into a larger buffer from its own start', () => {
    const whole = Float32Array.from([9.5, 9.5, 0.5, 1.5]);
    expect([...decodePicture(encodePicture(whole.subarray(2), 1, 2)).values]).toEqual([0.5, 1.5]);
  });
});
