import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PatchwiseCommand } from '../command';
import { expectNoSecret, folderA, temporaryKey, tree } from '../volume/dicom-fixtures';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-convert-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const patchwise = new PatchwiseCommand(() => folder);
temporaryKey(folder);

describe('patchwise convert', { timeout: 120_000 }, () => {
  it('writes NIfTI files and a table, and names nobody', async () => {
    const { code, stdout, stderr } = await patchwise.run(['convert', tree, 'nifti']);
    expect(code, stderr).toBe(0);
    expect(readdirSync(join(folder, 'nifti'))).toHaveLength(17);
    expect(stdout).toMatch(
      /^P\d{12}_s3_\d{6} {2}CT "Lunge 1\.0 B60f Fr\. \* \*" {2}24 x 20 x 8, 0\.7 x 0\.8 x 1 mm$/m,
    );
    expect(stdout).toMatch(/^P\d{12}_s1_\d{6}.*\n {2}left out: a localiser$/m);
    expect(stdout).toContain('nifti: 17 volumes written of 21 series');
    for (const text of [stdout, stderr]) {
      expectNoSecret(Buffer.from(text, 'utf8'), 'what it prints');
      expectNoSecret(Buffer.from(text, 'latin1'), 'what it prints');
    }
  });

  it('takes the series of a number or text, and answers with JSON', async () => {
    const { series } = await patchwise.json('convert', folderA, 'one', '--series', '3');
    expect(series.filter(({ file }: { file?: string }) => file)).toHaveLength(1);
    expect(series.filter(({ reason }: { reason?: string }) => reason === 'not chosen')).toHaveLength(2);
    const wrong = await patchwise.run(['convert', folderA, 'none', '--series', 'abdomen']);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("expected a series' number, or a part of its name or description");
    expect(readdirSync(folder)).not.toContain('none');
  });

  it('prepares without naming anybody', async () => {
    const { code, stdout, stderr } = await patchwise.run(['prepare', tree, 'dataset', '--series', 'thorax']);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('2 volumes written');
    for (const text of [stdout, stderr]) expectNoSecret(Buffer.from(text, 'utf8'), 'what it prints');
  });
});
