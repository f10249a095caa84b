import { describe, expect, it } from 'vitest';
import { decimate, thin } from '../../../src/plot/run/decimate';
import { Random } from '../../../src/random';

describe('decimate', () => {
  it('leaves a short line as it is', () => {
    const line = { x: [1, 2, 3], y: [4, null, 6] };
    expect(decimate(line, 3)).toEqual(line);
  });

  it('keeps every spike, the ends and the order, within the limit', () => {
    const random = new Random(3, 'decimate');
    const n = 50_000;
    const y = Array.from({ length: n }, () => random.next());
    const spikes = [1, 777, 25_000, 25_001, 49_998];
    spikes.forEach((at, i) => {
      y[at] = i % 2 === 0 ? 100 + i : -100 - i;
    });
    const x = y.map((_, i) => i * 10);
    const thin = decimate({ x, y }, 2000);
    expect(thin.x.length).toBeLessThanOrEqual(2000);
    expect(thin.x.length).toBeGreaterThan(1500);
    for (const at of spikes) expect(thin.y[thin.x.indexOf(at * 10)]).toBe(y[at]);
    expect([thin.x[0], thin.x.at(-1)]).toEqual([0, (n - 1) * 10]);
    expect([...thin.x].sort((a, b) => a - b)).toEqual(thin.x);
  });

  it('keeps gaps and does not take them for values', () => {
    const y = Array.from({ length: 1000 }, (_, i) => (i === 500 ? null : i === 501 ? Number.NaN : 1));
    const thin = decimate({ x: y.map((_, i) => i), y }, 100);
    expect(thin.y.some((value) => value === null || Number.isNaN(value))).toBe(true);
    expect(thin.y.filter((value) => value === 1).length).toBeGreaterThan(40);
  });
});

describe('thin', () => {
  it('keeps a growing line short, its spikes, its ends, and the same detail everywhere', () => {
    const line = { x: [] as number[], y: [] as (number | null)[] };
    for (let step = 1; step <= 200_000; step++) {
      line.x.push(step);
      line.y.push(step === 777 ? 50 : step === 150_001 ? -50 : Math.sin(step));
      thin(line, 1000);
      expect(line.x.length).toBeLessThanOrEqual(1000);
    }
    expect(line.y).toEqual(expect.arrayContaining([50, -50]));
    expect([line.x[0], line.x.at(-1)]).toEqual([1, 200_000]);
    const inFirst = line.x.filter((x) => x <= 50_000).length;
    const inThird = line.x.filter((x) => x > 100_000 && x <= 150_000).length;
    expect(inFirst / inThird).toBeGreaterThan(0.6);
    expect(line.x.every((x, at) => at === 0 || x > line.x[at - 1]!)).toBe(true);
  });
});
