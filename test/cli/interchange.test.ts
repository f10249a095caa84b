import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../src/compute/use-backend';
import { readForeignSafetensors, writeSafetensors } from '../../src/safetensors';
import { readCheckpoint } from '../../src/train/record/checkpoint';
import { untrained } from '../codes/untrained';
import { PatchwiseCommand } from '../command';
import { runHere } from '../command-here';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-cli-interchange-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const command = new PatchwiseCommand(() => folder);
let model: string;

beforeAll(async () => {
  await useBackend('cpu');
  model = await untrained(join(folder, 'model'), { codes: 16 });
  await command.json('export', model, 'model.safetensors', '--format', 'safetensors');
  writeFileSync(join(folder, 'junk.safetensors'), 'junk');
}, 60_000);

describe('export and import', { timeout: 300_000 }, () => {
  it('give the same model back', async () => {
    const imported = await command.json('import', 'model.safetensors', 'imported');
    expect(imported).toMatchObject({ ignored: [], model: { codes: 16, hidden: 4, downsample: [2, 2, 2] } });
    const [a, b] = [model, join(folder, imported.checkpoint)].map((dir) => readCheckpoint(dir).model);
    expect([...b!]).toEqual([...a!]);
  });

  it('write ONNX as one file or as four, in place of what was there', async () => {
    const parts = ['encoder', 'quantiser', 'embedding', 'decoder'].map((part) =>
      join('onnx', `${part}.onnx`),
    );
    for (let i = 0; i < 2; i++)
      expect(await command.json('export', model, 'onnx', '--format', 'onnx')).toEqual({
        files: parts,
        checkpoint: { dir: model, step: expect.any(Number), why: 'as named' },
      });
    expect(readdirSync(join(folder, 'onnx')).sort()).toEqual(parts.map((path) => path.slice(5)).sort());
    writeFileSync(join(folder, 'whole.onnx'), 'an older one');
    await command.json('export', model, 'whole.onnx', '--format', 'onnx');
    expect(readFileSync(join(folder, 'whole.onnx')).length).toBeGreaterThan(10_000);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it.each([
    [['export', 'MODEL', 'x', '--format', 'torch'], 2, 'Allowed choices are safetensors, onnx'],
    [['export', 'MODEL', 'x'], 2, '--format'],
    [['export', 'no-run', 'x', '--format', 'onnx'], 2, 'run: expected'],
    [['export', 'MODEL', 'none/x', '--format', 'safetensors'], 2, 'its folder does not exist (ENOENT)'],
    [
      ['export', 'MODEL', 'junk.safetensors/x', '--format', 'onnx'],
      2,
      'a file stands where a folder is needed (ENOTDIR)',
    ],
    [['import', 'none.safetensors', 'y'], 2, 'but nothing is there; check the spelling'],
    [['import', 'junk.safetensors', 'y'], 1, 'junk.safetensors: expected safetensors, found 4 bytes'],
    [['import', 'model.safetensors', 'y', '--groups', '3'], 2, 'model.groups: expected a divisor'],
    [['import', 'model.safetensors', 'y', '--patch', '7,8,8'], 2, 'a multiple of model.downsample'],
    [['import', 'model.safetensors', 'y', '--downsample', '4,4,4'], 1, 'conv_blocks.1.down'],
    [['import', 'model.safetensors', 'junk.safetensors'], 2, 'a file is there; give another place'],
  ])('%j is answered by %i and what is wrong', async (args, expected, told) => {
    const { code, stdout, stderr } = await runHere(folder, [
      ...args.map((arg) => (arg === 'MODEL' ? model : arg)),
      '--json',
    ]);
    expect(code, stderr).toBe(expected);
    expect(stderr).toContain(told);
    expect(stderr).not.toContain('    at ');
    expect(stdout).toBe('');
    expect(readdirSync(folder)).not.toContain('y');
  });

  it('import names what it passed over, and a second model', async () => {
    const { tensors } = readForeignSafetensors(join(folder, 'model.safetensors'));
    const extra = { shape: [1], data: Float32Array.of(1) };
    const others = new Map([
      ...tensors,
      ...['lpips.a', 'lpips.b', 'steps'].map((name) => [name, extra] as const),
    ]);
    writeSafetensors(join(folder, 'more.safetensors'), others);
    const { stdout } = await runHere(folder, [
      ...['import', 'more.safetensors', 'more'],
      ...['--patch', '8,8,8', '--groups', '2'],
    ]);
    expect(stdout).toContain('passed over 3 other arrays: lpips.* (2), steps\n');
    const twice = [...tensors].map(([name, array]) => [`ema.${name}`, array] as const);
    writeSafetensors(join(folder, 'twice.safetensors'), new Map([...tensors, ...twice]));
    const { code, stderr } = await runHere(folder, ['import', 'twice.safetensors', 'second']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('allowed: "", "ema."')]);
    const args = ['second', '--prefix', 'ema', '--patch', '8,8,8', '--downsample', '2,2,2', '--groups', '2'];
    expect(await command.json('import', 'twice.safetensors', ...args)).toMatchObject({
      ignored: [...tensors.keys()],
    });
  });

  it('import replaces an earlier import, and never the checkpoints of a run', async () => {
    await command.json('import', 'model.safetensors', 'twice');
    await command.json('import', 'model.safetensors', 'twice', '--patch', '16,16,16');
    const run = join(model, '..', '..');
    const before = readdirSync(join(run, 'checkpoints'));
    const { code, stderr } = await runHere(folder, ['import', 'model.safetensors', run]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('of an earlier import')]);
    expect(readdirSync(join(run, 'checkpoints'))).toEqual(before);
  });
});
