import { describe, expect, it } from 'vitest';
import { fromModel, resolveIntensity, toModel } from '../../src/volume/intensity';

const hounsfield = { data: Float32Array.of(-1024, 0, 40, 1500) };
const display = { data: Float32Array.of(0, 17, 255) };

describe('resolveIntensity', () => {
  it('takes the CTPA window for Hounsfield units, the range for anything else, and says why', () => {
    const ct = resolveIntensity('auto', hounsfield);
    expect([ct.low, ct.high, ct.units]).toEqual([-200, 500, 'HU']);
    expect(ct.name).toContain('-1024');
    const picture = resolveIntensity('auto', display);
    expect([picture.low, picture.high, picture.units]).toEqual([0, 255, 'file']);
    expect(picture.name).toContain('minmax');
  });

  it('takes windows by name and by numbers', () => {
    expect(resolveIntensity('lung', display)).toMatchObject({ low: -1350, high: 150 });
    expect(resolveIntensity('mediastinum', display)).toMatchObject({ low: -160, high: 240 });
    expect(resolveIntensity([-100, 900], display)).toMatchObject({ low: -100, high: 900 });
    expect(() => resolveIntensity('bone' as 'lung', display)).toThrow('mediastinum');
    expect(() => resolveIntensity('toString' as 'lung', display)).toThrow('mediastinum');
    expect(() => resolveIntensity([5, 5], display)).toThrow('low < high');
  });

  it('ignores values that are not finite, and gives a constant volume a range', () => {
    const odd = {
      data: Float32Array.of(Number.NaN, -5, Number.NEGATIVE_INFINITY, 5, Number.POSITIVE_INFINITY),
    };
    expect(resolveIntensity('minmax', odd)).toMatchObject({ low: -5, high: 5 });
    expect(resolveIntensity('minmax', { data: Float32Array.of(7, 7) })).toMatchObject({ low: 7, high: 8 });
    expect(resolveIntensity('minmax', { data: Float32Array.of(Number.NaN) })).toMatchObject({
      low: 0,
      high: 1,
    });
  });
});

describe('the map', () => {
  const window = resolveIntensity('ctpa', hounsfield);

  it('takes the window to [-1, 1], clips the rest, and NaN to -1', () => {
    const values = Float32Array.of(-200, 150, 500, -3000, 3000, Number.NaN);
    expect([...toModel(values, window)]).toEqual([-1, 0, 1, -1, 1, -1]);
  });

  it('gives the same values back', () => {
    const values = Float32Array.from({ length: 701 }, (_, n) => n - 200);
    const back = fromModel(toModel(values, window), window);
    for (const [n, value] of values.entries()) expect(back[n]).toBeCloseTo(value, 3);
  });

  it('writes in place where asked', () => {
    const values = Float32Array.of(500);
    expect(toModel(values, window, values)).toBe(values);
    expect(values[0]).toBe(1);
  });
});
