import { describe, expect, it } from 'vitest';
import { positionOf, sliderText, takenValue, valueAt } from '../../src/controls/controls';

const slider = (min: number, max: number, step: number) => ({ kind: 'slider', min, max, step }) as const;

describe('a slider', () => {
  it.each([
    [slider(0, 0.5, 0.005), 0.25, '0.250'],
    [slider(0, 603, 1), 302, '302'],
    [slider(0, 1e-4, 1e-6), 5e-5, '0.000050'],
    [slider(0, 5e-5, 5e-7), 2.5e-6, '0.0000025'],
    [slider(1.5e-8, 1, 0.25), 0.25, '0.250000000'],
    [slider(0, 1e22, 1e21), 1e21, '1e+21'],
    [slider(0, 3, 0.1 * 3), 0.6, '0.6'],
  ])('%j says %d as %s', (of, value, text) => {
    expect(sliderText(of, value)).toBe(text);
  });

  it('says every one of its values differently', () => {
    for (const of of [
      slider(0, 5e-5, 5e-7),
      slider(1e-5, 1e-4, 5e-7),
      slider(0, 1, 0.3),
      slider(-0.1, 0.73, 0.005),
    ]) {
      const count = positionOf(of, of.max) + 1;
      const texts = Array.from({ length: count }, (_, at) => sliderText(of, valueAt(of, at)));
      expect(new Set(texts).size).toBe(count);
    }
  });

  it('ends at its greatest value, also where the steps do not divide the range', () => {
    const of = slider(0, 1, 0.3);
    expect([0, 1, 2, 3, 4].map((at) => valueAt(of, at))).toEqual([0, 0.3, 0.6, 0.9, 1]);
    expect([0.95, 1, 7, -3].map((value) => takenValue(of, value))).toEqual([0.9, 1, 1, 0]);
  });
});
