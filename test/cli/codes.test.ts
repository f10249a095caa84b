import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../src/compute/use-backend';
import { phantom } from '../../src/volume/phantom/phantom';
import { readVolume } from '../../src/volume/read';
import { writeVolume } from '../../src/volume/write';
import { untrained } from '../codes/untrained';
import { PatchwiseCommand } from '../command';
import { runHere } from '../command-here';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-cli-codes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const command = new PatchwiseCommand(() => folder);
let model: string;
let other: string;

beforeAll(async () => {
  await useBackend('cpu');
  model = await untrained(join(folder, 'model'), { quantiser: 'fsq', codes: 64 });
  other = await untrained(join(folder, 'other'), { codes: 16 });
  for (const [name, seed] of [
    ['a', 1],
    ['b', 2],
  ] as const)
    await writeVolume(join(folder, `${name}.nii.gz`), phantom({ shape: [20, 18, 22], seed }));
  // Large enough that there is time to interrupt.
  await writeVolume(join(folder, 'large.nii.gz'), phantom({ shape: [64, 64, 64], seed: 3 }));
  writeFileSync(join(folder, 'junk.nii.gz'), 'junk');
}, 60_000);

describe('encode and decode', { timeout: 300_000 }, () => {
  it('encode volumes to codes, and decode codes to what reconstruct gives', async () => {
    const found = await command.json('encode', model, 'a.nii.gz', 'b.nii.gz', '--out', 'codes');
    expect(readdirSync(join(folder, 'codes')).sort()).toEqual(['a.npz', 'b.npz']);
    expect(found.rows.map(({ output }: { output: string }) => output)).toEqual([
      'codes/a.npz',
      'codes/b.npz',
    ]);
    for (const { bytes, ratio, usage, output } of found.rows) {
      expect(bytes).toBe(readFileSync(join(folder, output)).length);
      expect(ratio).toBeCloseTo((2 * 20 * 18 * 22) / bytes, 9);
      expect(usage).toBeLessThanOrEqual(found.usage);
    }
    const decoded = await command.json('decode', 'codes/a.npz', 'decoded.nii', '--window', 'hann');
    expect(decoded.output).toBe('decoded.nii');
    await command.json('reconstruct', model, 'a.nii.gz', 'reconstructed.nii', '--window', 'hann');
    const [a, b] = await Promise.all(
      ['decoded.nii', 'reconstructed.nii'].map((file) => readVolume(join(folder, file))),
    );
    expect(a!.data).toEqual(b!.data);
    expect(a!.affine).toEqual(b!.affine);
    const as = ['--window', 'hann', '--dtype', 'int16'];
    await command.json('reconstruct', model, 'a.nii.gz', 'whole.nii', ...as);
    await command.json('decode', 'codes/a.npz', 'whole-decoded.nii', ...as);
    for (const file of ['whole.nii', 'whole-decoded.nii']) {
      const whole = await readVolume(join(folder, file));
      expect(whole.header!.datatype).toBe('int16');
      expect(whole.data).toEqual(b!.data.map((value) => Math.round(value)));
    }
    const refused = await runHere(folder, ['reconstruct', model, 'a.nii.gz', 'x.nii', '--dtype', 'int17']);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('int16');
  });

  it('report progress on stderr and print readable lines on stdout', async () => {
    const { code, stdout, stderr } = await command.run(['encode', model, 'a.nii.gz', '-o', 'lines']);
    expect(code).toBe(0);
    const [headings, row, all] = stdout.split('\n');
    expect(headings).toMatch(/^codes +size +of int16 +perplexity +codes in use, % +seconds$/);
    expect(row).toMatch(/^lines\/a\.npz +[\d.]+ KiB +1 \/ [\d.]+ /);
    expect(all).toMatch(/^all 1: perplexity /);
    expect(stderr).toMatch(/^encode \d+\/(\d+) patches[\s\S]*encode \1\/\1 patches/);
  });

  it('leave out a file that cannot be read, and fail if none can be read', async () => {
    const { code, stdout } = await command.run([
      ...['encode', model, 'junk.nii.gz', 'b.nii.gz', '-o', 'some', '--json'],
    ]);
    const some = JSON.parse(stdout);
    expect(code).toBe(1); // a path that was given
    expect(some.leftOut).toEqual([{ file: 'junk.nii.gz', reason: expect.stringContaining('348 bytes') }]);
    expect(readdirSync(join(folder, 'some'))).toEqual(['b.npz']);
    const none = await command.run(['encode', model, 'junk.nii.gz', '-o', 'none']);
    expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/^left out .*junk\.nii\.gz/m)]);
  });

  it.each([
    [['encode', 'MODEL', 'no.nii', '-o', 'x'], 'no.nii: nothing is there; check the spelling'],
    [['encode', 'no-run', 'a.nii.gz', '-o', 'x'], 'run: expected'],
    [['encode', 'MODEL', 'a.nii.gz'], '--out'],
    [['encode', 'MODEL', 'a.nii.gz', '-o', 'a.nii.gz'], 'Expected a folder, but a file is there'],
    [
      ['encode', 'MODEL', 'a.nii.gz', '-o', 'x', '--stride', '9,9,9'],
      'stride[0]: expected at most the patch size 8',
    ],
    [
      ['encode', 'MODEL', 'a.nii.gz', '-o', 'x', '--intensity', '5,1'],
      'intensity: expected two finite numbers',
    ],
    [['decode', 'codes/a.npz', 'x.png'], 'Expected a .nii or .nii.gz file'],
    [['decode', 'codes/a.npz', 'x.nii', '--window', 'round'], 'allowed: constant, linear'],
    [['decode', 'codes/a.npz', 'x.nii', '--model', 'OTHER'], 'the model the codes are of'],
    [['decode', 'codes/a.npz', 'nowhere/x.nii'], 'does not exist; make it first'],
  ])('refuse %j as wrong usage', async (args, told) => {
    const given = args.map((arg) => ({ MODEL: model, OTHER: other })[arg] ?? arg);
    const { code, stdout, stderr } = await runHere(folder, [...given, '--json']);
    expect(code, stderr).toBe(2);
    expect(stderr).toContain(told);
    expect(stdout).toBe('');
    expect(existsSync(join(folder, 'x.nii'))).toBe(false);
  });

  it('decode fails on a file that holds no codes', async () => {
    const file = 'junk.nii.gz';
    const { code, stderr } = await runHere(folder, ['decode', file, 'x.nii']);
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`^patchwise: ${file}: expected codes as \\.npz`));
  });

  it('replace an existing file, and keep it if they are interrupted', async () => {
    await command.json('encode', model, 'large.nii.gz', '-o', 'again');
    const codes = join(folder, 'again', 'large.npz');
    const before = readFileSync(codes);
    writeFileSync(join(folder, 'again.nii'), 'as it was');

    const encoding = await command.run(['encode', model, 'large.nii.gz', '-o', 'again'], / patches/);
    expect([encoding.code, encoding.stdout]).toEqual([1, '']);
    expect(encoding.stderr).toMatch(/patchwise: stopped\n$/);
    expect(readFileSync(codes).equals(before)).toBe(true);

    const decoding = await command.run(['decode', codes, 'again.nii'], / patches/);
    expect([decoding.code, decoding.stdout]).toEqual([1, '']);
    expect(readFileSync(join(folder, 'again.nii'), 'utf8')).toBe('as it was');
    expect(readdirSync(folder).filter((name) => /part|tmp/.test(name))).toEqual([]);

    await command.json('decode', codes, 'again.nii');
    expect((await readVolume(join(folder, 'again.nii'))).shape).toEqual([64, 64, 64]);
  });
});
