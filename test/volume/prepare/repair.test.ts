import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { compiledFile } from '../../../src/package';
import { phantom } from '../../../src/volume/phantom/phantom';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { writeDatasetVolume } from '../../../src/volume/prepare/write-volume';
import { openDataset } from '../../../src/volume/store/dataset';
import { writeVolume } from '../../../src/volume/write';
import { temporaryFolder } from '../folder';

const folder = temporaryFolder();
const [input, sound] = [() => join(folder(), 'in'), () => join(folder(), 'sound')];

beforeAll(async () => {
  mkdirSync(input());
  for (const patient of [1, 2, 3])
    await writeVolume(join(input(), `P${patient}.nii`), phantom({ shape: [40, 36, 40], seed: patient }), {
      dtype: 'int16',
    });
  await prepareDataset(input(), sound(), { baseline: { shape: [8, 8, 8], how: 'crop' }, seed: 4 });
});

/** All files of a folder with their content. */
function contentOf(dir: string): Map<string, string> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort()
      .map((path) => [path.slice(dir.length + 1), readFileSync(path, 'latin1')]),
  );
}

function damagedCopy(name: string): string {
  const output = join(folder(), name);
  rmSync(output, { recursive: true, force: true });
  cpSync(sound(), output, { recursive: true, preserveTimestamps: true });
  return output;
}

const damages: readonly (readonly [what: string, damage: (path: string) => void])[] = [
  ['removed', (path) => rmSync(path)],
  ['emptied', (path) => truncateSync(path)],
  ['cut in half', (path) => truncateSync(path, Math.floor(statSync(path).size / 2))],
  ['cut by a byte', (path) => truncateSync(path, statSync(path).size - 1)],
  ['made longer', (path) => writeFileSync(path, '\0'.repeat(4096), { flag: 'a' })],
];

const files = ['zarr.json', 'image/zarr.json', 'image/c/0/0/0', 'baseline/zarr.json', 'baseline/c/0/0/0'];

describe('a dataset with a file', { timeout: 240_000 }, () => {
  it.each(damages)('%s is whole again after a call, to the byte', async (what, damage) => {
    const whole = contentOf(sound());
    for (const file of [...files.map((own) => join('P2', own)), 'zarr.json']) {
      const output = damagedCopy(what);
      damage(join(output, file));
      const { leftOut, notes, written } = await prepareDataset(input(), output);
      expect([file, leftOut]).toEqual([file, []]);
      // A byte less of a JSON file is its last line end, which says nothing.
      const isSame = file === 'zarr.json' || (what === 'cut by a byte' && file.endsWith('.json'));
      expect([file, written]).toEqual([file, isSame ? [] : ['P2']]);
      if (isSame) continue;
      expect(contentOf(output)).toEqual(whole);
      if (file !== join('P2', 'zarr.json'))
        expect(notes).toEqual([`${join(output, file)} was damaged; P2 is made again`]);
    }
  });

  it('with another byte needs --verify; whoever reads it is told the command', async () => {
    const whole = contentOf(sound());
    for (const [at, file] of ['P3/image/c/0/0/0', 'P1/baseline/c/0/0/0'].entries()) {
      const output = damagedCopy(`it's one (${at})`);
      const path = join(output, file);
      const bytes = readFileSync(path);
      bytes[100]! ^= 4;
      writeFileSync(path, bytes);
      const dataset = openDataset(output, { threads: 1 });
      const volume = dataset.volumes.find(({ name }) => file.startsWith(name))!;
      const failure = (await (at === 0 ? volume : volume.baseline!)
        .read()
        .catch((error: unknown) => error)) as Error;
      await dataset.close();
      expect((await prepareDataset(input(), output)).kept).toEqual(['P1', 'P2', 'P3']);
      const [, told] = /to repair it: npx patchwise (prepare INPUT .* --verify) \(INPUT/.exec(
        failure.message,
      )!;
      const shell = `INPUT=${input()}; "${process.execPath}" "${compiledFile('src', 'cli.js')}" ${told!.replace('INPUT', '"$INPUT"')}`;
      const { stdout, stderr } = await promisify(execFile)('sh', ['-c', shell]);
      expect(stdout).toContain('1 volumes written, 2 unchanged, 0 left out');
      expect(stderr).toContain(`note: ${path} was damaged; ${volume.name} is made again`);
      expect(contentOf(output)).toEqual(whole);
    }
  });

  it('of a volume that was added alone is named, with what to do', async () => {
    const output = damagedCopy('added');
    const place = phantom({ shape: [12, 12, 12] });
    await writeDatasetVolume(output, place, [{ z: 0, depth: 12, data: place.data }], { name: 'own' });
    rmSync(join(output, 'own/image/c/0/0/0'));
    const { notes } = await prepareDataset(input(), output);
    expect(notes.join()).toMatch(
      /own\/image.* is damaged; own was added alone: add it again, or remove its folder/,
    );
    rmSync(join(output, 'own'), { recursive: true });
    expect((await prepareDataset(input(), output)).notes).toEqual([]);
  });
});
