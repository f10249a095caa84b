import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MetricRecord } from '../../src/train/metrics-log';
import { TensorboardEvents } from '../../src/train/tensorboard';

const python = [process.env.PATCHWISE_PYTHON, '.venv/bin/python', 'python3'].find((candidate) => {
  try {
    execFileSync(candidate ?? '', ['-c', 'import tensorboard'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});
if (!python)
  console.warn('skipped: no Python with tensorboard (PATCHWISE_PYTHON, .venv/bin/python, python3)');

const time = '2026-11-24T20:00:00.500Z';
const train: MetricRecord = { step: 300, epoch: 2, time, split: 'train', loss: 0.25, secondsByRank: [1, 2] };
const validation: MetricRecord = { step: 70_000, epoch: 9, time, split: 'validation', psnr: 31.5 };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchwise-events-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const eventFiles = (): string[] =>
  readdirSync(folder).filter((name) => name.startsWith('events.out.tfevents.'));

describe('event files', () => {
  it('begin as TensorFlow writes them: its own bytes for the version event, checksums and all', () => {
    new TensorboardEvents(folder, []);
    const bytes = readFileSync(join(folder, eventFiles()[0]!));
    const version = Buffer.from('1a0d627261696e2e4576656e743a32', 'hex'); // file_version: "brain.Event:2"
    expect(bytes.readBigUInt64LE()).toBe(24n); // 9 bytes of wall time and these 15
    expect(bytes.subarray(8, 12).toString('hex')).toBe('a37f4b22'); // as every event file of TensorFlow begins
    expect(bytes.subarray(21, 36)).toEqual(version);
    expect(bytes.length).toBe(8 + 4 + 24 + 4);
  });

  it('of an earlier life are replaced by one with all records', () => {
    writeFileSync(join(folder, 'events.out.tfevents.1.host.1.0'), 'torn');
    const events = new TensorboardEvents(folder, [train]);
    events.append(validation);
    expect(eventFiles()).toHaveLength(1);
    expect(readFileSync(join(folder, eventFiles()[0]!)).includes('train/loss')).toBe(true);
  });

  it.skipIf(!python)("are read by TensorBoard's own reader", () => {
    new TensorboardEvents(folder, [train]).append(validation);
    const script = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0}).Reload()
print(json.dumps({tag: [[e.wall_time, e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()['scalars']}))`;
    const read = JSON.parse(execFileSync(python!, ['-c', script, folder], { encoding: 'utf8' }));
    const at = Date.parse(time) / 1000;
    expect(read).toEqual({
      'train/loss': [[at, 300, 0.25]],
      'train/secondsByRank/rank0': [[at, 300, 1]],
      'train/secondsByRank/rank1': [[at, 300, 2]],
      'train/epoch': [[at, 300, 2]],
      'validation/psnr': [[at, 70_000, 31.5]],
      'validation/epoch': [[at, 70_000, 9]],
    });
  });
});
