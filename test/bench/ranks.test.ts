import { expect, it } from 'vitest';
import { benchRanks } from '../../bench/ranks';

it('two ranks are measured beside one, and where the time of a step goes', { timeout: 120_000 }, async () => {
  const setup = { shape: [16, 16, 16], steps: 4, repeats: 1, patience: 0, backends: ['wasm'] } as const;
  const { rows } = await benchRanks(setup);
  expect(rows.map(({ unit }) => unit)).toEqual(['1/s', '1/s', '1/s', 'ms', '% of the step', '% of the step']);
  const [patches, apart, ceiling, step, communication, outside] = rows as Required<typeof rows>;
  // A patch a rank and step, so the two say the same.
  expect(patches!.ours / (2000 / step!.ours)).toBeCloseTo(1, 0);
  expect(patches!.ratio).toBeCloseTo(patches!.ours / patches!.peer!, 9);
  expect(communication!.ours).toBeGreaterThan(communication!.peer!);
  expect(apart!.peer).toBe(patches!.peer);
  expect([ceiling!.ours, ceiling!.peer]).toEqual([patches!.ours, apart!.ours]);
  for (const { ours } of [communication!, outside!]) expect(ours).toBeLessThan(100);
});
