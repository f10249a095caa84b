import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

/** Path of a NIfTI fixture. */
export function fixture(name: string): string {
  return join(__dirname, '../fixtures/nifti', name);
}

/** A folder for the tests of one describe block, removed behind them. */
export function temporaryFolder(): () => string {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'patchwise-volume-'));
  });
  // The long form of a fuzz leaves ten thousand files.
  afterAll(() => rmSync(folder, { recursive: true, force: true }), 300_000);
  return () => folder;
}
