import { afterEach, expect, it, vi } from 'vitest';
import type { Rich } from '../../src/plot/display';
import { progressBar } from '../../src/plot/progress-bar';

const hookName = Symbol.for('patchwise.display');
afterEach(() => {
  delete (globalThis as Record<symbol, unknown>)[hookName];
  vi.restoreAllMocks();
});

it('shows tenths of a second below ten seconds, whole seconds and minutes from there on', () => {
  const hook = vi.fn();
  Object.assign(globalThis, { [hookName]: hook });
  const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
  const report = progressBar('cut');
  for (const [seconds, done] of [
    [0.44, 1],
    [9.96, 2],
    [75, 4],
  ] as const) {
    clock.mockReturnValue(seconds * 1000);
    report({ done, total: 4, what: '' });
  }
  const texts = hook.mock.calls.map(([rich]) => (rich as Rich).bundle['text/plain'] as string);
  expect(texts.map((text) => text.replace(/^.*\] /, ''))).toEqual([
    '1/4, 0.4 s, 1.3 s left',
    '2/4, 10 s, 10 s left',
    '4/4, 1 min 15 s',
  ]);
});
