import { describe, expect, it } from 'vitest';
import { learningRateAt } from '../../../src/train/learn/schedule';

describe('learning rate', () => {
  it('stays, or falls along half a cosine', () => {
    const at = (schedule: 'constant' | 'cosine') =>
      [0, 50, 100].map((step) => learningRateAt({ learningRate: 2, schedule, warmup: 0 }, step, 100));
    expect(at('constant')).toEqual([2, 2, 2]);
    const [first, middle, last] = at('cosine');
    expect(first).toBe(2);
    expect(middle).toBeCloseTo(1.02, 9);
    expect(last).toBeCloseTo(0.04, 9);
  });

  it('grows over the warm-up, then goes the way of its schedule', () => {
    const at = (step: number) =>
      learningRateAt({ learningRate: 2, schedule: 'cosine', warmup: 4 }, step, 104);
    expect([0, 1, 2, 3].map(at)).toEqual([0.5, 1, 1.5, 2]);
    expect(at(4)).toBe(2);
    expect(at(54)).toBeCloseTo(1.02, 9);
  });
});
