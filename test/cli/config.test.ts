import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PatchwiseCommand } from '../command';

let folder: string;
const command = new PatchwiseCommand(() => folder);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchwise-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Entry {
  name: string;
  meaning: string;
  value?: unknown;
}

describe('patchwise config', () => {
  it('prints the values of a preset as lines, JSON and a file that train takes', async () => {
    const entries = (await command.json('config', '--preset', 'guide')) as Entry[];
    expect(entries.find(({ name }) => name === 'model.codes')).toMatchObject({ value: 512 });
    const { stdout } = await command.run(['config', '--preset', 'guide']);
    expect(stdout).toContain('model.codes = 512\n    Codes in the codebook');
    const yaml = await command.run(['config', '--preset', 'upstream', '--yaml']);
    const file = join(folder, 'upstream.yaml');
    writeFileSync(file, yaml.stdout);
    const small = 'model.hidden=4 model.groups=1 patch=16 stride=12 gan.slice=0 gan.patch=0'.split(' ');
    const args = ['train', file, '--data', 'phantom:16x16x16', '--prepare', '--set', ...small];
    expect(await command.json(...args)).toMatchObject({ id: expect.stringContaining('upstream') });
  });

  it('and the help of train list every setting', async () => {
    const entries = (await command.json('config')) as Entry[];
    const { stdout } = await command.run(['train', '--help']);
    for (const { name, meaning } of entries) {
      expect(stdout).toMatch(new RegExp(`^${name}( = .*)?$`, 'm'));
      expect(stdout).toContain(meaning);
    }
  });

  it('refuses an unknown preset, and suggests the right name for a misspelt setting', async () => {
    expect((await command.run(['config', '--preset', 'huge'])).code).toBe(2);
    const { code, stderr } = await command.run(['train', '--data', 'phantom:16x16x16', '--set', 'stesp=3']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('did you mean steps?')]);
  });
});
