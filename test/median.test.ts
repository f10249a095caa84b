import { expect, it } from 'vitest';
import { median } from '../src/median';

it('is the middle value, between the two in the middle of an even count, and NaN of none', () => {
  const values = [10, 1, 2];
  expect([median(values), median([...values, 4]), median([])]).toEqual([2, 3, Number.NaN]);
  expect(values).toEqual([10, 1, 2]);
});
