import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidConfig } from '../../../src/errors';
import { Run } from '../../../src/train/run';
import { train } from '../../../src/train/train';
import { phantom } from '../../../src/volume/phantom/phantom';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { Volume } from '../../../src/volume/volume';
import { writeVolume } from '../../../src/volume/write';
import { finished, tiny, useTemporaryRuns } from '../tiny';

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterAll(() => removeRuns());

const shape = [16, 16, 32] as const;
const scan = (seed: number, size: readonly [number, number, number] = shape) =>
  phantom({ shape: size, seed });
const folder = () => process.env.PATCHWISE_RUNS!;

function edit(run: Run, change: object): void {
  const path = join(run.dir, 'config.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }));
}

describe('a run that is resumed', { timeout: 240_000 }, () => {
  it('refuses other volumes than it was trained on, and takes them where they are meant', async () => {
    const path = join(folder(), 'scan.nii');
    await writeVolume(path, scan(1));
    const run = await finished({ data: path });
    await writeVolume(path, scan(2));
    await expect((await run.resume({ steps: 8 })).done).rejects.toThrow(
      /cannot go on.*checkpoint of step 5: .*scan\.nii is another volume.*--accept-changes/,
    );
    await (await run.resume({ steps: 8, acceptChanges: true })).done;
    expect(await run.status()).toMatchObject({ state: 'done', step: 8 });
    expect((await run.status()).note).toContain('from step 5 on');
    // From the next checkpoint on that is what the run is trained on.
    await (await run.resume({ steps: 9 })).done;
    await writeVolume(path, scan(2, [16, 16, 24]));
    await expect((await run.resume({ steps: 12 })).done).rejects.toThrow(/train patches \d+ -> \d+/);
  });

  it('refuses a dataset that was prepared with other windows', async () => {
    const input = join(folder(), 'scans');
    const output = join(folder(), 'prepared');
    mkdirSync(input);
    for (const seed of [1, 2, 3]) await writeVolume(join(input, `p${seed}.nii`), scan(seed));
    const prepare = (intensity: 'ctpa' | 'lung') =>
      prepareDataset(input, output, { intensity, split: [0.6, 0.4, 0] });
    await prepare('ctpa');
    const run = await finished({ data: output, workers: 1 });
    await prepare('lung');
    await expect((await run.resume({ steps: 8 })).done).rejects.toThrow(
      /intensity of .* ctpa \[-200, 500\] -> lung \[-1350, 150\]/,
    );
  });

  it('checks a config that was edited, and names the file and all that is wrong', async () => {
    const run = await finished({});
    const path = join(run.dir, 'config.json');
    copyFileSync(path, `${path}.good`);
    edit(run, { steps: -5, learningRate: 'fast', nonsense: 1 });
    const error = (await run.resume().catch((reason) => reason)) as InvalidConfig;
    expect(error).toBeInstanceOf(InvalidConfig);
    expect(error.problems.map(({ key }) => key).sort()).toEqual(['learningRate', 'nonsense', 'steps']);
    expect(error.message).toContain(path);
    expect(await run.status()).toMatchObject({ state: 'done', step: 5 });
    copyFileSync(`${path}.good`, path);
    edit(run, { clip: 0.5 });
    await expect((await run.resume({ steps: 8 })).done).rejects.toThrow('clip 1 -> 0.5');
  });

  it('takes the config of its newest checkpoint where config.json is damaged, and keeps what was there', async () => {
    const run = await finished({});
    const path = join(run.dir, 'config.json');
    writeFileSync(path, '{ "seed": 11, }');
    expect(await run.config()).toMatchObject({ seed: 11, model: { codes: 16 } });
    await (await run.resume({ steps: 8 })).done;
    expect(await run.status()).toMatchObject({ state: 'done', step: 8 });
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ seed: 11, steps: 8 });
    expect(readFileSync(`${path}.damaged`, 'utf8')).toBe('{ "seed": 11, }');
  });

  it('passes over a checkpoint whose state was changed, and says so in its status', async () => {
    const run = await finished({ steps: 6, checkpointEvery: 3 });
    const path = join(await run.checkpoint('last'), 'state.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"adamSteps": 6', '"adamSteps": 7'));
    await (await run.resume({ steps: 9 })).done;
    expect((await run.status()).note).toContain('checkpoint step-00000006 passed over');
    expect((await run.logs())['rank-0']).toContain('goes on from the checkpoint of step 5');
  });

  it('says that its records are lost where metrics.jsonl was removed', async () => {
    const run = await finished({});
    rmSync(join(run.dir, 'metrics.jsonl'));
    await (await run.resume({ steps: 8 })).done;
    expect((await run.status()).note).toContain('metrics.jsonl has lost records');
  });

  it('finds its own volumes where its folder was moved, and says what to do where others are gone', async () => {
    const own = await finished({ data: scan(1) });
    const moved = join(folder(), 'elsewhere');
    renameSync(own.dir, moved);
    const run = new Run(moved);
    await (await run.resume({ steps: 8 })).done;
    expect(await run.status()).toMatchObject({ state: 'done', step: 8 });
    const path = join(folder(), 'gone.nii');
    const volume = scan(3);
    await writeVolume(path, volume);
    const other = await finished({ data: path });
    const place = join(folder(), 'new place.nii');
    renameSync(path, place);
    await expect((await other.resume({ steps: 8 })).done).rejects.toThrow(
      /gone\.nii: expected data of this run, found nothing; put it back there, or give its new place/,
    );
    edit(other, { data: [place] });
    await (await other.resume({ steps: 8 })).done;
    expect(volume).toBeInstanceOf(Volume);
    expect(existsSync(path)).toBe(false);
  });

  it('that stopped for lack of a better validation gets its full patience again, and says why it ends', async () => {
    // A rate this small changes nothing that a float shows: every validation after the first only equals it.
    const run = await finished({ steps: 40, learningRate: 1e-30, validateEvery: 5, patience: 2 });
    const first = await run.status();
    expect(first.step).toBeLessThan(40);
    expect(first.note).toMatch(new RegExp(`done at step ${first.step} of 40: 2 validation.* no better psnr`));
    await (await run.resume({ steps: 60 })).done;
    expect((await run.status()).step).toBe(first.step + 10);
    expect((await run.status()).note).toContain('of 60');
  });

  it('refuses to rank by a measure that its patches do not have', async () => {
    await expect(train({ ...tiny, bestMetric: 'ssim' })).rejects.toThrow(
      'bestMetric: expected a measure that patches [8, 8, 8] have; ssim needs 11 voxels along each axis',
    );
    const thin = await train({
      ...tiny,
      data: phantom({ shape: [16, 16, 8], seed: 0 }),
      patch: [12, 12, 12],
      stride: [12, 12, 12],
      bestMetric: 'ssim',
    });
    await expect(thin.done).rejects.toThrow('no patch of it has 11 voxels of its own along each axis');
  });
});
