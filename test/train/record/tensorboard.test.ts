import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MetricRecord } from '../../../src/train/record/metrics-log';
import { TensorboardEvents } from '../../../src/train/record/tensorboard';

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
    new TensorboardEvents(folder, 0);
    const bytes = readFileSync(join(folder, eventFiles()[0]!));
    const version = Buffer.from('1a0d627261696e2e4576656e743a32', 'hex'); // file_version: "brain.Event:2"
    expect(bytes.readBigUInt64LE()).toBe(24n); // 9 bytes of wall time and these 15
    expect(bytes.subarray(8, 12).toString('hex')).toBe('a37f4b22'); // as every event file of TensorFlow begins
    expect(bytes.subarray(21, 36)).toEqual(version);
    expect(bytes.length).toBe(8 + 4 + 24 + 4);
  });

  it('of earlier lives stay, and the new one is the last by name whatever the clock says', () => {
    const earlier = 'events.out.tfevents.8999999999.host.1.0';
    writeFileSync(join(folder, earlier), 'torn');
    const events = new TensorboardEvents(folder, 299);
    expect(events.isFirst).toBe(false);
    expect(eventFiles().sort().indexOf(earlier)).toBe(0);
    expect(eventFiles()).toHaveLength(2);
    expect(readFileSync(join(folder, earlier), 'utf8')).toBe('torn');
  });

  it.skipIf(!python)("are read by TensorBoard's own reader", () => {
    new TensorboardEvents(folder, 0).append(train, validation);
    const script = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0}).Reload()
print(json.dumps({tag: [[e.wall_time, e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()['scalars']}))`;
    const read = JSON.parse(execFileSync(python!, ['-c', script, folder], { encoding: 'utf8' }));
    const at = Date.parse(time) / 1000;
    expect(read).toEqual({
      'train/loss': [[at, 300, 0.25]],
      'train/step time by rank, s/rank0': [[at, 300, 1]],
      'train/step time by rank, s/rank1': [[at, 300, 2]],
      'train/epoch': [[at, 300, 2]],
      'validation/PSNR, dB': [[at, 70_000, 31.5]],
      'validation/epoch': [[at, 70_000, 9]],
    });
  });

  it.skipIf(!python)(
    'of several lives are one curve, also for a TensorBoard that has an earlier one open',
    async () => {
      const script = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})
for line in sys.stdin:
    events.Reload()
    print(json.dumps([[e.step, e.value] for e in events.Scalars('train/loss')]), flush=True)
`;
      const reader = spawn(python!, ['-c', script, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
      const answers = createInterface({ input: reader.stdout })[Symbol.asyncIterator]();
      const look = async () => {
        reader.stdin.write('\n');
        return JSON.parse((await answers.next()).value as string) as [number, number][];
      };
      const losses = (from: number, to: number, loss: number) =>
        Array.from({ length: to - from + 1 }, (_, i) => ({ ...train, step: from + i, loss }));
      const points = (records: readonly MetricRecord[]) => records.map(({ step, loss }) => [step, loss]);
      const first = losses(1, 54, 1);
      new TensorboardEvents(folder, 0).append(...first);
      expect(await look()).toEqual(points(first));
      // Killed at step 54, it goes on from the checkpoint of step 50; the log still knows 51 to 54.
      const second = new TensorboardEvents(folder, 50);
      second.append(...first.slice(50));
      second.append(...losses(55, 90, 2));
      expect(await look()).toEqual(points([...first, ...losses(55, 90, 2)]));
      // Torn, and from an older checkpoint with other settings: what came after it no longer counts.
      appendFileSync(join(folder, eventFiles().sort().at(-1)!), 'torn');
      new TensorboardEvents(folder, 40).append(...losses(41, 45, 3));
      const wanted = points([...first.slice(0, 40), ...losses(41, 45, 3)]);
      expect(await look()).toEqual(wanted);
      reader.stdin.end();
      const fresh = spawnSync(python!, ['-c', script, folder], { input: '\n', encoding: 'utf8' });
      expect(JSON.parse(fresh.stdout)).toEqual(wanted);
    },
    60_000,
  );
});
