import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PatchwiseCommand } from './command';
import { runHere } from './command-here';

let folder: string;
const command = new PatchwiseCommand(() => folder);
const json = command.json.bind(command);
const patchwise = (...args: string[]) => command.run(args);
const here = (...args: string[]) => runHere(folder, args);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchwise-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Planned {
  memory: { total: number; weights: number; activations: number; process: number };
  reconstruct: { worker: number };
  warning?: string;
}

describe('patchwise plan', () => {
  it('plans the full-resolution grid with its true overlaps, coverage and a memory forecast', async () => {
    const plan = await json(
      ...'plan --volume 512,512,604 --patch 256,256,128 --stride 192,192,96'.split(' '),
    );
    expect(plan).toMatchObject({
      patches: 54,
      grid: [3, 3, 6],
      coverage: 1,
      overlap: { x: [64, 192], y: [64, 192], z: [32, 32, 32, 32, 36] },
    });
    expect(plan.memory.total).toBeGreaterThan(plan.memory.weights);
    const cubes = await json(...'plan --volume 128 --patch 64 --stride 48'.split(' '));
    expect(cubes).toMatchObject({ volume: [128, 128, 128], patch: [64, 64, 64], stride: [48, 48, 48] });
  });

  it('forecasts any settings of train, from a file or one by one, with the process and a worker of reconstruct', async () => {
    const of = async (...args: string[]) =>
      JSON.parse((await here('plan', '--device', 'libtorch', ...args, '--json')).stdout) as Planned;
    const guide = await of();
    const narrow = await of('--set', 'model.hidden=32', 'model.downsample=8,8,8');
    expect(narrow.memory.weights).not.toBe(guide.memory.weights);
    expect(narrow.memory.activations).toBeLessThan(0.6 * guide.memory.activations);
    expect(narrow.reconstruct.worker).toBeLessThan(0.6 * guide.reconstruct.worker);
    expect(guide.memory.process).toBeGreaterThan(0.1 * guide.memory.total);
    const file = join(folder, 'plan.yaml');
    writeFileSync(
      file,
      'preset: upstream\npatch: [64, 64, 64]\nmodel: { hidden: 32 }\nprecision: bf16\nbatch: 2\n',
    );
    const planned = await of(file);
    expect(planned.memory).toMatchObject({
      preset: 'upstream',
      patch: [64, 64, 64],
      precision: 'bf16',
      batch: 2,
    });
    expect(planned.warning).toContain('8,192 latents for 16,384 codes');
    expect((await of(file, '--precision', 'float32')).memory.total).toBeGreaterThan(planned.memory.total);
    const { code, stderr } = await here('plan', '--set', 'model.hiden=32');
    expect([code, stderr]).toEqual([2, expect.stringContaining('model.hiden')]);
  });

  it.each([
    [['--volume', '512,512'], 'one number, three (x,y,z), or a volume file'],
    [['--volume', '64', '--patch', '64,64'], 'one number, or three'],
    [['--volume', '64,64,64', '--patch', '32,32,32', '--stride', '48,32,32'], 'stride'],
    [['--volume', '64,64,64', '--preset', 'huge'], 'guide, upstream, baseline, toy'],
    [['--volume', '64,64,64', '--batch', '0'], 'a whole number above 0'],
    [['--volume', '64,64,64', '--colour', 'red'], '--colour'],
  ])('refuses %j as wrong usage and says what is allowed', async (args, told) => {
    const { code, stderr, stdout } = await here('plan', ...args);
    expect(code).toBe(2);
    expect(stderr).toContain(told);
    expect(stdout).toBe('');
  });
});

describe('options that are numbers', () => {
  it.each([
    ['bench step --seed abc', 'a whole number from 0'],
    ['phantom out.nii --seed 1.5', 'a whole number from 0'],
    ['prepare in out --index -1', 'a whole number from 0'],
    ['prepare in out --spacing 1mm', 'a number'],
    ['prepare in out --intensity low,40', 'a number'],
    ['doctor --seconds soon', 'a number'],
    ['train --steps ten', 'a whole number above 0'],
    ['runs resume r --ranks 0', 'a whole number above 0'],
    ['notebook run n.ipynb --timeout -1', 'a number above 0'],
  ])('refuses %j and names the option', async (command, told) => {
    const { code, stderr } = await here(...command.split(' '));
    const option = /--[a-z]+/.exec(command)![0];
    expect([code, stderr]).toEqual([2, expect.stringContaining(`Expected ${told}`)]);
    expect(stderr).toContain(option);
  });
});

describe('patchwise --help', () => {
  it.each([
    'plan',
    'phantom',
    'train',
    'runs',
    'runs list',
    'runs show',
    'runs stop',
    'runs resume',
    'runs logs',
    'reconstruct',
    'evaluate',
    'notebook run',
    'kernel install',
    'doctor',
  ])('%s has help', async (command) => {
    const { code, stdout } = await here(...command.split(' '), '--help');
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: patchwise ${command}`);
  });

  it('says so when a command does not exist', async () => {
    const { code, stderr } = await patchwise('trian');
    expect(code).toBe(2);
    expect(stderr).toContain("unknown command 'trian'");
    const runs = await here('runs', 'shwo', 'x');
    expect(runs.code).toBe(2);
    expect(runs.stderr).toContain("unknown command 'shwo'\n(Did you mean show?)");
  });
});

describe('patchwise doctor', () => {
  it('names what is here, and the cure for each part that is not', async () => {
    const findings = (await json('doctor')) as { part: string; found?: string; cure?: string }[];
    expect(findings.find(({ part }) => part === 'backend wasm')?.found).toContain('tfjs');
    for (const { part, found, cure } of findings) expect(found ?? cure, part).toBeTruthy();
  });
});

describe('a run from the shell', { timeout: 300_000 }, () => {
  it('generates a phantom, trains on it, reconstructs and evaluates it', async () => {
    const ct = join(folder, 'ct.nii.gz');
    await json('phantom', ct, '--shape', '32x32x32', '--seed', '3');
    const small = 'model.hidden=4 model.groups=1 model.codes=16 patch=16,16,16 validateEvery=4'.split(' ');
    const started = await json('train', '--data', ct, '--ranks', '2', '--steps', '4', '--set', ...small);
    expect(started.status).toMatchObject({ state: 'done', step: 4 });

    const listed = (await json('runs')) as { id: string; state: string }[];
    expect(listed).toEqual([expect.objectContaining({ id: started.id, state: 'done' })]);
    const shown = await json('runs', 'show', started.id);
    expect(shown.validation.psnr).toBeGreaterThan(0);
    await json('runs', 'show', started.id, '--figure', join(folder, 'curves.svg'));
    expect(readFileSync(join(folder, 'curves.svg'), 'utf8')).toMatch(/^<svg .*>PSNR, dB \(left\)</s);
    expect(Object.keys(await json('runs', 'logs', started.id))).toContain('rank-1');

    const resumed = await patchwise(
      'runs',
      'resume',
      started.id,
      ...'--ranks 1 --steps 6 --follow'.split(' '),
    );
    expect(resumed.stdout).toMatch(/done {2}step 6\/6/);
    expect(resumed.stdout).toMatch(/^! from step 4 on: ranks 2 -> 1/m);
    expect((await patchwise('runs', 'show', started.id)).stdout).toMatch(/^! from step 4 on: ranks 2 -> 1/m);

    const output = join(folder, 'reconstructed.nii');
    const result = await json(
      'reconstruct',
      started.id,
      ct,
      output,
      '--window',
      'hann',
      '--checkpoint',
      'last',
    );
    expect(result.patches).toBe(27);
    expect(readFileSync(output).length).toBeGreaterThan(2 * 32 ** 3); // int16, as its input

    expect(result.checkpoint).toMatchObject({ step: 6, why: 'the last, as asked for' });

    const { rows, notes, checkpoint } = await json('evaluate', started.id, ct);
    expect(checkpoint.why).toBe('the best by validation psnr');
    expect(rows[0]).toMatchObject({ side: 'part', units: 'HU' });
    expect(notes.join()).toContain('1 of 1 volumes: the run was trained on them');
    const [linear, gaussian] = rows;
    expect([linear.name, gaussian.name]).toEqual(['linear', 'gaussian']);
    for (const key of ['psnr', 'ssim', 'mae', 'rmse', 'perplexity', 'usage', 'seamEnergy'])
      expect(Number.isFinite(linear[key]), key).toBe(true);

    const other = join(folder, 'other.nii');
    await json('phantom', other, '--shape', '32x32x32', '--seed', '4');
    const options = '--window gaussian --mirror x,z --canonical --intensity -200,500'.split(' ');
    const both = await json('evaluate', started.id, ct, other, ...options);
    expect(both.rows.map((row: { file: string }) => row.file)).toEqual([ct, other]);
    expect(both.rows[0].psnr).not.toBe(gaussian.psnr);
    const { psnr } = both.aggregate[0].metrics;
    expect(psnr).toMatchObject({ count: 2, mean: (both.rows[0].psnr + both.rows[1].psnr) / 2 });
    expect(psnr.low).toBeNull();
    const told = await patchwise('evaluate', started.id, ct, other, '--window', 'gaussian');
    expect(told.stdout).toMatch(/volume +in the run +window +PSNR, dB +SSIM +MAE, HU +RMSE, HU/);
    expect(told.stdout).toMatch(/^mean over 2 volumes$/m);
    expect(told.stdout).not.toContain('[');
    expect((await patchwise('evaluate', started.id, ct, '--mirror', 'w')).code).toBe(2);
    expect((await patchwise('evaluate', started.id, ct, '--checkpoint', 'first')).code).toBe(2);
  });

  it('detaches, and stops what it started', async () => {
    const started = await json('train', '--data', 'phantom:32x32x32', '--steps', '100000', '--detach');
    const stopped = await json('runs', 'stop', started.id);
    expect(stopped.status.state).toBe('stopped');
    for (const { pid } of [stopped.status.pids.supervisor, ...stopped.status.pids.ranks].filter(Boolean))
      expect(hasEnded(pid), `process ${pid}`).toBe(true);
  });

  it.each([
    ['train nosuch.yaml', 'Expected a YAML file (volumes are given by --data), but nothing is there'],
    ['train --preset toy --data nosuch.nii.gz', 'nosuch.nii.gz: nothing is there; check the spelling'],
    ['reconstruct run v.nii.gz out.mha', 'a .nii or .nii.gz file, or the folder of a dataset'],
  ])('says in one plain line what is missing: %s', async (command, line) => {
    const { stderr } = await here(...command.split(' '));
    expect(stderr).toContain(line);
    expect(stderr.trim().split('\n')).toHaveLength(command.includes('--data') ? 1 : 2); // with commander's hint at --help;
    expect(stderr).not.toContain('ENOENT:');
  });

  it('fails with 1 when the work cannot be done, and leaves stdout empty', async () => {
    const { code, stdout, stderr } = await patchwise(
      'reconstruct',
      'no-such-run',
      'no.nii',
      'out.nii',
      '--json',
    );
    expect([1, 2]).toContain(code);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^patchwise: /);
  });
});

/** Gone, or a zombie that the machine's init has not collected. */
function hasEnded(pid: number): boolean {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}
