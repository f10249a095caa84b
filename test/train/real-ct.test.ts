import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadData } from '../../src/train/data/loader';
import { sample } from '../../src/train/learn/validate';
import { resolveConfig } from '../../src/train/settings/config';
import { train } from '../../src/train/train';
import { toModel } from '../../src/volume/intensity';
import { readVolume } from '../../src/volume/read';
import { curve, reach, useTemporaryRuns } from './tiny';

const file = resolve('../shared/data/chest-ct-lidc.nii.gz');
const present = existsSync(file);
if (!present) console.warn(`skipped: the real CT is not at ${file}`);

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterAll(() => removeRuns());

const options = {
  data: file,
  ranks: 2,
  batch: 2,
  steps: 120,
  learningRate: 2e-3,
  schedule: 'cosine',
  validateEvery: 40,
  validationPatches: 48,
  seed: 0,
} as const;

describe.skipIf(!present)('a short run on a real CT', { timeout: 300_000 }, () => {
  it('rises in validation PSNR and ends 5 dB above the mean value; same seed, same curve', async () => {
    const run = await train(options);
    await run.done;
    const records = await run.records();
    const measured = records.flatMap(({ psnr }) => psnr ?? []);
    expect(measured).toHaveLength(3);
    expect(measured).toEqual([...measured].sort((a, b) => a - b));
    expect(measured.at(-1)).toBeGreaterThan((await psnrOfTheMean()) + 5);

    const again = await train(options);
    await reach(again, 10);
    await again.stop();
    const repeated = await again.records();
    expect(repeated.length).toBeGreaterThanOrEqual(10);
    expect(curve(repeated)).toEqual(curve(records.slice(0, repeated.length)));
  });
});

/** Of the same validation patches, all taken to be the volume's mean value. */
async function psnrOfTheMean(): Promise<number> {
  const config = resolveConfig({ ...options, data: [file] });
  const { validation, intensities } = await loadData(config);
  const voxels = toModel((await readVolume(file)).data, Object.values(intensities)[0]!);
  const mean = voxels.reduce((sum, value) => sum + value, 0) / voxels.length;
  let [squares, count] = [0, 0];
  for (const index of sample(validation.count, config.validationPatches, config.seed))
    for (const value of await validation.read(index)) {
      squares += (value - mean) ** 2;
      count++;
    }
  return 10 * Math.log10(4 / (squares / count));
}
