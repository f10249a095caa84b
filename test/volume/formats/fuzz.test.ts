import { expect, it } from 'vitest';
import { temporaryFolder } from '../folder';
import { fuzzFormats } from './fuzz';

/** 300 cases in every test run; the long form is PATCHWISE_FUZZ=10000 npx vitest run test/volume/formats/fuzz.test.ts */
const cases = Number(process.env.PATCHWISE_FUZZ ?? 300);
const folder = temporaryFolder();

it(`${cases} damaged files of MetaImage and NRRD end in an error of ours or a volume`, {
  timeout: 60_000 + cases * 100,
}, async () => {
  const { refused, read, wrong } = await fuzzFormats(
    cases,
    20,
    process.env.PATCHWISE_FUZZ_FOLDER ?? folder(),
  );
  console.info(`${refused} refused, ${read} read`);
  expect(wrong).toEqual([]);
  // Damage must leave enough that can be read.
  expect(read).toBeGreaterThan(cases / 10);
  expect(refused).toBeGreaterThan(cases / 10);
});
