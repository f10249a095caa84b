import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { UnreadableFile } from '../../src/errors';
import { followMetrics, type MetricRecord, MetricsLog, readMetrics } from '../../src/train/metrics-log';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-metrics-'));
afterAll(() => rmSync(folder, { recursive: true }));
let path = '';
let files = 0;
beforeEach(() => {
  path = join(folder, `${files++}.jsonl`);
});

const record = (step: number, split: MetricRecord['split'] = 'train'): MetricRecord => ({
  step,
  epoch: 0,
  time: '2026-01-01T00:00:00.000Z',
  split,
  loss: 1 / step,
});

describe('metrics log', () => {
  it('gives back what was appended, and nothing where there is no file yet', async () => {
    expect(await readMetrics(path)).toEqual([]);
    const log = new MetricsLog(path);
    const written = [record(1), record(2), record(2, 'validation')];
    for (const each of written) log.append(each);
    expect(await readMetrics(path)).toEqual(written);
  });

  it('ignores a torn last line, and the next writer cuts it off', async () => {
    new MetricsLog(path).append(record(1));
    appendFileSync(path, JSON.stringify(record(2)).slice(0, 20));
    expect(await readMetrics(path)).toEqual([record(1)]);
    new MetricsLog(path).append(record(2));
    expect(await readMetrics(path)).toEqual([record(1), record(2)]);
    expect(readFileSync(path, 'utf8').endsWith('}\n')).toBe(true);
  });

  it('a restarted writer neither doubles nor loses a record', async () => {
    const first = new MetricsLog(path);
    for (const step of [1, 2, 3]) first.append(record(step));
    first.append(record(3, 'validation'));
    const second = new MetricsLog(path); // goes on from a checkpoint of step 1
    for (const step of [2, 3, 4]) second.append(record(step));
    for (const step of [3, 4]) second.append(record(step, 'validation'));
    const steps = (await readMetrics(path)).map(({ step, split }) => `${split} ${step}`);
    expect(steps).toEqual(['train 1', 'train 2', 'train 3', 'validation 3', 'train 4', 'validation 4']);
  });

  it('says which line is damaged, where it is not the last', async () => {
    writeFileSync(path, `${JSON.stringify(record(1))}\n{"step":\n${JSON.stringify(record(3))}\n`);
    await expect(readMetrics(path)).rejects.toThrow(UnreadableFile);
    await expect(readMetrics(path)).rejects.toThrow('line 2');
  });

  it('follows a file that does not exist yet, gets lines written in pieces, and ends with the run', async () => {
    let ended = false;
    const got: number[] = [];
    const following = (async () => {
      for await (const { step } of followMetrics(path, { ended: async () => ended })) got.push(step);
    })();
    await pause(30);
    const line = `${JSON.stringify(record(1))}\n`;
    appendFileSync(path, line.slice(0, 17));
    await pause(30);
    expect(got).toEqual([]);
    appendFileSync(path, line.slice(17) + JSON.stringify(record(2)));
    await pause(60);
    expect(got).toEqual([1]);
    appendFileSync(path, '\n');
    await pause(60);
    expect(got).toEqual([1, 2]);
    appendFileSync(path, `${JSON.stringify(record(3))}\n`);
    ended = true;
    await following;
    expect(got).toEqual([1, 2, 3]);
  });

  it('stops following with the reason of the signal', async () => {
    const controller = new AbortController();
    const next = followMetrics(path, { ended: async () => false, signal: controller.signal }).next();
    setTimeout(() => controller.abort(new Error('enough')), 20);
    await expect(next).rejects.toThrow('enough');
  });
});

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
