import {
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { InvalidArgument, UnreadableFile } from '../../../src/errors';
import { Random } from '../../../src/random';
import { readSafetensors, writeSafetensors } from '../../../src/safetensors';
import {
  type CheckpointState,
  linkAgain,
  newestCheckpoint,
  readCheckpoint,
  readState,
  removeHalfWritten,
  saveCheckpoint,
} from '../../../src/train/record/checkpoint';
import { findCheckpoint, whileRotating } from '../../../src/train/record/choose-checkpoint';
import { resolveConfig } from '../../../src/train/settings/config';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-checkpoint-'));
afterAll(() => rmSync(folder, { recursive: true }));
let run = '';
beforeEach(() => {
  run = mkdtempSync(join(folder, 'run-'));
});

const config = resolveConfig({ data: ['phantom:32x32x32'] });
const tensors = (seed: number) => {
  const random = new Random(seed, 'tensors');
  const data = Float32Array.from({ length: 24 }, () => random.normal());
  return new Map([
    ['encoder.weight', { shape: [2, 3, 4], data }],
    ['a flag', { shape: [1], data: Float32Array.of(1) }],
    ['nothing', { shape: [0], data: new Float32Array(0) }],
  ]);
};
const state = (step: number): CheckpointState => ({
  step,
  epoch: 1,
  position: 3,
  adamSteps: step,
  config,
  intensities: { 'phantom:32x32x32': { name: 'ctpa', low: -200, high: 500, units: 'HU' } },
  patchwise: '0',
});
const save = (step: number, options: { best?: boolean; keep?: number } = {}) =>
  saveCheckpoint(
    run,
    { state: state(step), model: tensors(step), optimiser: tensors(step + 1000) },
    { best: false, keep: 2, ...options },
  );
const names = () => readdirSync(join(run, 'checkpoints')).sort();

describe('checkpoints', () => {
  it('give back every bit and the whole state', () => {
    const read = readCheckpoint(save(5));
    expect(read.model).toEqual(tensors(5));
    expect(read.optimiser).toEqual(tensors(1005));
    expect(read.state).toEqual(state(5));
  });

  it('last and best point to theirs; old ones go, those two stay', () => {
    save(1);
    save(2, { best: true });
    for (const step of [3, 4, 5]) save(step);
    expect(names()).toEqual(['best', 'last', 'step-00000002', 'step-00000004', 'step-00000005']);
    expect(readCheckpoint(findCheckpoint(run, 'best')).state.step).toBe(2);
    expect(readCheckpoint(findCheckpoint(run)).state.step).toBe(5);
    expect(() => findCheckpoint(folder)).toThrow(InvalidArgument);
  });

  it('a truncated, changed or incomplete one is passed over, with the reason', () => {
    const [first, second, third, fourth] = [1, 2, 3, 4].map((step) => save(step, { keep: 9 })) as [
      string,
      string,
      string,
      string,
    ];
    truncateSync(join(fourth, 'model.safetensors'), 40);
    const bytes = readFileSync(join(third, 'optimiser.safetensors'));
    bytes[bytes.length - 3]! ^= 1;
    writeFileSync(join(third, 'optimiser.safetensors'), bytes);
    rmSync(join(second, 'state.json'));
    const warnings: string[] = [];
    expect(newestCheckpoint(run, (warning) => warnings.push(warning))?.dir).toBe(first);
    expect(warnings.map((warning) => warning.split(' ')[1])).toEqual([
      'step-00000004',
      'step-00000003',
      'step-00000002',
    ]);
    expect(() => readCheckpoint(fourth)).toThrow(UnreadableFile);
  });

  it('a half-written one is invisible and is cleared away', () => {
    save(1);
    const half = join(run, 'checkpoints', '.step-00000002.123.tmp');
    writeFileSync(half, 'x');
    expect(newestCheckpoint(run, () => {})?.state.step).toBe(1);
    removeHalfWritten(run);
    expect(existsSync(half)).toBe(false);
  });

  it('one that is replaced by a newer one during reading is looked up again', () => {
    save(1, { keep: 1 });
    let step = 1;
    const read = () => {
      const dir = findCheckpoint(run);
      if (step === 1) save(++step, { keep: 1 });
      return readCheckpoint(dir).state.step;
    };
    expect(whileRotating(read)).toBe(2);
    // One that is damaged is not gone.
    truncateSync(join(findCheckpoint(run), 'model.safetensors'), 10);
    expect(() => whileRotating(read)).toThrow(UnreadableFile);
  });

  it('a changed state is refused, a changed layout is not', () => {
    const path = join(save(1), 'state.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, JSON.stringify(JSON.parse(text)));
    expect(readState(dirname(path)).step).toBe(1);
    writeFileSync(path, text.replace('"position": 3', '"position": 4'));
    expect(() => readCheckpoint(dirname(path))).toThrow('expected the state of a checkpoint as written');
  });

  it('the newest existing one is found if the last is gone', () => {
    const first = save(1);
    rmSync(save(2), { recursive: true });
    expect(findCheckpoint(run)).toBe(first);
  });

  it('a step that is saved again takes the place of the damaged one', () => {
    truncateSync(join(save(1), 'model.safetensors'), 10);
    expect(readCheckpoint(save(1)).model).toEqual(tensors(1));
  });
});

describe('safetensors', () => {
  it('reads what the reference implementation lays down', () => {
    // {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} after an 8-byte length, as in the format's description.
    const header = Buffer.from(
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    );
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const path = join(folder, 'reference.safetensors');
    writeFileSync(path, Buffer.concat([length, header, Buffer.from(Float32Array.of(1.5, -2).buffer)]));
    expect(readSafetensors(path)).toEqual(new Map([['a', { shape: [2], data: Float32Array.of(1.5, -2) }]]));
  });

  it('says what is wrong with a file', () => {
    const path = join(folder, 'broken.safetensors');
    writeSafetensors(path, tensors(1));
    truncateSync(path, readFileSync(path).length - 4);
    expect(() => readSafetensors(path)).toThrow('cut short');
    writeFileSync(path, 'text');
    expect(() => readSafetensors(path)).toThrow(UnreadableFile);
  });

  it('of a copy that has folders for links are found, and their links are made again', () => {
    save(1, { best: true });
    save(2);
    const root = join(run, 'checkpoints');
    for (const link of ['last', 'best']) {
      const target = findCheckpoint(run, link as 'last' | 'best');
      rmSync(join(root, link));
      cpSync(target, join(root, link), { recursive: true });
    }
    // Somebody copied only what is best.
    rmSync(join(root, 'step-00000001'), { recursive: true });
    expect(readState(findCheckpoint(run, 'best')).step).toBe(1);
    expect(readState(findCheckpoint(run)).step).toBe(2);
    linkAgain(run);
    expect(names()).toEqual(['best', 'last', 'step-00000001', 'step-00000002']);
    expect(lstatSync(join(root, 'last')).isSymbolicLink()).toBe(true);
    expect(findCheckpoint(run, 'best')).toBe(join(root, 'step-00000001'));
    save(3, { best: true });
    expect(findCheckpoint(run)).toBe(join(root, 'step-00000003'));
    expect(findCheckpoint(run, 'best')).toBe(join(root, 'step-00000003'));
  });
});
