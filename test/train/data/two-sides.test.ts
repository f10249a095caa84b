import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { prepareRun } from '../../../src/train/train';
import { phantom } from '../../../src/volume/phantom/phantom';
import type { Inspection } from '../../../src/volume/prepare/inspect';
import type { PrepareOptions } from '../../../src/volume/prepare/prepare';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { writeVolume } from '../../../src/volume/write';
import { temporaryFolder } from '../../volume/folder';
import { tiny } from '../tiny';

const temporary = temporaryFolder();
const at = (...parts: string[]) => join(temporary(), ...parts);
const ct = (seed: number) => phantom({ shape: [16, 16, 16], seed });
const onTrain: PrepareOptions = { split: [1, 0, 0] };
const onTest: PrepareOptions = { split: [0, 0, 1] };

describe('several datasets of one run', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    process.env.PATCHWISE_RUNS = at('runs');
    await writeVolume(at('P1.nii'), ct(1));
    await writeVolume(at('P2.nii'), ct(2));
    await writeVolume(at('P1_late.nii'), ct(3));
    await writeVolume(at('P1_later.nii'), ct(4));
    await prepareDataset([at('P1.nii'), at('P2.nii')], at('first'), onTrain);
    await prepareDataset([at('P1.nii'), at('P1_later.nii')], at('same-file'), onTest);
    await prepareDataset(at('P1_late.nii'), at('same-name'), onTest);
    await prepareDataset(at('P1_late.nii'), at('same-side'), onTrain);
  });

  it('with one file on two sides are refused, with the cure', async () => {
    const refused = prepareRun({ ...tiny, data: [at('first'), at('same-file')] });
    await expect(refused).rejects.toThrow(/each patient on one side.*P1 \(train\) and .*P1 \(test\)/);
  });

  it('with patients of one name on two sides are told, and refused if the call is strict', async () => {
    const seen: Inspection[] = [];
    const data = [at('first'), at('same-name')];
    const run = await prepareRun({ ...tiny, data }, { onInspect: (found) => seen.push(found) });
    const odd = [
      {
        note: expect.stringContaining('patients of one name are on different sides'),
        files: [`${at('first', 'P1')} (train)`, `${at('same-name', 'P1_late')} (test)`],
      },
    ];
    expect(seen[0]!.oddities).toEqual(odd);
    expect((await run.config()).looked!.oddities).toEqual(odd);
    const strict = prepareRun({ ...tiny, data }, { strict: true, onInspect: () => {} });
    await expect(strict).rejects.toThrow(/patients of one name/);
  });

  it('with everybody on one side are used in silence', async () => {
    const onInspect = () => expect.unreachable();
    const run = await prepareRun({ ...tiny, data: [at('first'), at('same-side')] }, { onInspect });
    expect((await run.config()).looked!.oddities).toEqual([]);
  });
});
