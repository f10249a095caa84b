import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RunCourse } from '../../../src/train/record/course';
import type { MetricRecord } from '../../../src/train/record/metrics-log';
import { followMetrics, MetricsReader, readMetrics } from '../../../src/train/record/metrics-reader';
import { latestRecords, partAfter, wholeBytes } from '../../../src/train/record/metrics-tail';
import { MetricsLog } from '../../../src/train/record/metrics-writer';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-metrics-'));
afterAll(() => rmSync(folder, { recursive: true }));
let path = '';
let files = 0;
afterEach(() => void vi.restoreAllMocks());
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

const lines = (...steps: number[]) => steps.map((step) => `${JSON.stringify(record(step))}\n`).join('');

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

  it('leaves damaged lines out, and counts and names them', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const damage = ['{"step":', '\0\0\0', '5', 'null', '{"step":"2","split":"train"}'];
    writeFileSync(path, `${lines(1)}${damage.join('\n')}\n${lines(3)}`);
    expect(await readMetrics(path)).toEqual([record(1), record(3)]);
    expect(warn.mock.calls[0]![0]).toContain(
      '5 damaged lines are left out, the first is line 2: "{\\"step\\":"',
    );
    warn.mockClear();
    const followed: number[] = [];
    for await (const { step } of followMetrics(path, { ended: async () => true })) followed.push(step);
    expect(followed).toEqual([1, 3]);
    expect(warn).toHaveBeenCalledOnce();
    const course = new RunCourse(path);
    await course.update();
    expect(course.last('train')).toEqual(record(3));
    expect(course.notice).toContain('5 damaged lines');
    const next = new MetricsLog(path, 1);
    next.append(record(3));
    next.append(record(4));
    expect((await readMetrics(path)).map(({ step }) => step)).toEqual([1, 3, 4]);
    expect(next.later.damaged).toBe(5);
  });

  it('reads past a damaged line that is longer than memory should hold, forwards and backwards', async () => {
    writeFileSync(path, lines(1));
    for (let i = 0; i < 40; i++) appendFileSync(path, Buffer.alloc(2 ** 20));
    appendFileSync(path, `\n${lines(2)}`);
    const reader = new MetricsReader(path);
    const steps: number[] = [];
    for await (const records of reader.read()) steps.push(...records.map(({ step }) => step));
    expect(steps).toEqual([1, 2]);
    expect(reader.damaged).toMatchObject({ count: 1, line: 2 });
    expect(latestRecords(path, 'train', 5).map(({ step }) => step)).toEqual([1, 2]);
    expect(partAfter(path, 1)).toMatchObject({ offset: statSync(path).size - lines(2).length });
  });

  it('is read in pieces: a long log costs neither a long string nor its size in memory', async () => {
    const count = 40_000;
    writeFileSync(path, lines(...Array.from({ length: count }, (_, i) => i + 1)));
    const reader = new MetricsReader(path);
    const pieces: number[] = [];
    for await (const records of reader.read()) pieces.push(records.length);
    expect(pieces.reduce((sum, n) => sum + n)).toBe(count);
    expect(Math.max(...pieces)).toBeLessThan(count / 2);
    const course = new RunCourse(path);
    await course.update();
    expect(course.records.length).toBeLessThan(5000);
    expect(course.records[0]).toEqual(record(1));
    expect(course.records.slice(-100).map(({ step }) => step)).toEqual(
      Array.from({ length: 100 }, (_, i) => count - 99 + i),
    );
    const steps = course.records.map(({ step }) => step);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
  });

  it('is searched from its end for what comes after a step', () => {
    expect(new MetricsLog(path).later.offset).toBe(0);
    writeFileSync(path, `${lines(1, 2, 3)}${JSON.stringify(record(3, 'validation'))}\n${lines(4)}{"torn`);
    expect(wholeBytes(path)).toBe(statSync(path).size - 6);
    expect(partAfter(path, 2)).toEqual({
      offset: lines(1, 2).length,
      lastStep: { train: 4, validation: 3 },
      damaged: 0,
    });
    expect(partAfter(path, 0)).toMatchObject({ offset: 0 });
    expect(partAfter(path, 9)).toMatchObject({ offset: wholeBytes(path), lastStep: { train: 9 } });
    expect(latestRecords(path, 'train', 2)).toEqual([record(3), record(4)]);
    expect(latestRecords(path, 'validation', 2)).toEqual([record(3, 'validation')]);
  });

  it('is cut off behind the step from which a run goes on', async () => {
    writeFileSync(path, lines(1, 2, 3, 4));
    const log = new MetricsLog(path, 2, false);
    log.append({ ...record(3), loss: 9 });
    expect(await readMetrics(path)).toEqual([record(1), record(2), { ...record(3), loss: 9 }]);
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
    await vi.waitFor(() => expect(got).toEqual([1]), 10_000);
    appendFileSync(path, '\n');
    await vi.waitFor(() => expect(got).toEqual([1, 2]), 10_000);
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
