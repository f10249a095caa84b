import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { afterSeconds } from '../src/timer';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it.each([0.3, 1, 2.5, 90])('calls back after %s s, once', (seconds) => {
  const action = vi.fn();
  afterSeconds(seconds, action);
  vi.advanceTimersByTime(seconds * 1000 - 1);
  expect(action).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  vi.advanceTimersByTime(5000);
  expect(action).toHaveBeenCalledTimes(1);
});

it('does not call back at once for more than setTimeout can take', () => {
  const action = vi.fn();
  for (const seconds of [3e6, 1e12, Number.MAX_VALUE]) afterSeconds(seconds, action);
  vi.advanceTimersByTime(3600 * 1000);
  expect(action).not.toHaveBeenCalled();
});

it('is called off', () => {
  const action = vi.fn();
  const end = afterSeconds(5, action);
  vi.advanceTimersByTime(3000);
  end();
  vi.advanceTimersByTime(10_000);
  expect(action).not.toHaveBeenCalled();
});
