import { expect, it } from 'vitest';
import { duration } from '../../../src/duration';
import { runLines, sparkline } from '../../../src/plot/run/terminal';
import type { MetricRecord } from '../../../src/train/record/metrics-log';
import type { RunStatus } from '../../../src/train/record/status';

const parts = { data: 0.1, forward: 0.5, backward: 1, communication: 0.2, optimiser: 0.1 };

/** Two seconds a step. */
const records = Array.from(
  { length: 60 },
  (_, i): MetricRecord => ({
    ...{ step: i + 1, epoch: 0, split: 'train', time: new Date(2000 * i).toISOString(), loss: 1 / (i + 1) },
    ...{ patchesPerSecond: 1, volumesPerSecond: 0.1, seconds: { step: 2, ...parts } },
    ...{ secondsByRank: [1.5, 1.4], cpuByRank: [0.9, 1], memoryByRank: [300, 310] },
  }),
);

const status = {
  ...{ state: 'running', step: 60, steps: 100, restarts: 1, restartReason: 'rank 1 was ended by SIGKILL' },
  ...{
    warning: 'the disk is full',
    heartbeats: [new Date(1000).toISOString(), null],
    updated: new Date(4000).toISOString(),
  },
} as unknown as RunStatus;

it('shows how far a run is, when it will be done, where its time goes, and what each rank does', () => {
  const text = runLines('r1', status, records).join('\n');
  expect(text).toContain('step 60/100, epoch 0, 1 min 20 s left');
  expect(text).toContain('! the disk is full');
  expect(text).toContain('started again 1 time(s): rank 1 was ended by SIGKILL');
  expect(text).toContain(
    'data 5 %, forward 25 %, backward 50 %, communication 10 %, optimiser 5 %, other 5 %',
  );
  expect(text).toContain('2 s a step, 1 patches/s, 0.1 volumes/s');
  expect(text).toMatch(/rank 0 +1.5 s {2}0.9 cores {2}300 MiB {2}seen 3 s ago/);
  expect(text).toMatch(/rank 1 +1.4 s {2}1.0 cores {2}310 MiB$/);
  for (const line of runLines('r1', status, records, 60)) expect(line.length).toBeLessThanOrEqual(60);
  expect(runLines('r1', { ...status, state: 'done' } as RunStatus, []).join()).not.toContain('left');
});

it('draws a falling curve falling, and time as people say it', () => {
  expect(sparkline([8, 7, 6, 5, 4, 3, 2, 1], 8)).toBe('█▇▆▅▄▃▂▁');
  expect(sparkline([1, 3, 1, 3, 5, 5], 3)).toBe('▁▁█');
  expect(sparkline([1, Number.NaN, 2], 3)).toBe('▁ █');
  expect([4, 190, 7500].map(duration)).toEqual(['4 s', '3 min 10 s', '2 h 05 min']);
});
