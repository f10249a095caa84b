import { expect, it } from 'vitest';
import { findPython } from '../../bench/python';
import { temporaryFolder } from './folder';
import { fuzz } from './fuzz';

/** 300 cases in every test run; the long form is PATCHWISE_FUZZ=10000 npx vitest run test/volume/fuzz.test.ts */
const cases = Number(process.env.PATCHWISE_FUZZ ?? 300);
const folder = temporaryFolder();

it(`${cases} damaged files end in an error of ours or the right voxels`, {
  timeout: 60_000 + cases * 100,
}, async () => {
  const python = await findPython(['nibabel']);
  if (!python) console.warn('without nibabel: compared with the reference reader alone');
  const result = await fuzz(cases, 20, folder(), python);
  console.info(
    `${result.refused} refused, ${result.right} right, ${result.asNibabel} of them read by nibabel too`,
  );
  expect(result.wrong).toEqual([]);
  // Damage must leave enough that can be read, or the comparison says nothing.
  expect(result.right).toBeGreaterThan(cases / 10);
  expect(result.refused).toBeGreaterThan(cases / 10);
});
