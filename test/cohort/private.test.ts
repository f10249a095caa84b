/** Names, ids and dates of patients are in nothing that the way from DICOM to a report writes or prints. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PatchwiseCommand } from '../command';
import { folderA, folderB } from '../volume/dicom-fixtures';
import { leaks } from './leaks';

const quickstart = resolve(__dirname, '../../notebooks/quickstart.ipynb');
const temporaryPlace = process.env.TMPDIR;
let root: string;
const command = new PatchwiseCommand(() => root);
/** What was searched: so many files of each extension. */
const searched = new Map<string, number>();

beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'patchwise-private-')));
  process.env.PATCHWISE_PATIENT_KEY = join(root, 'patient-key');
  mkdirSync(join(root, 'tmp'));
  // What is left in the place of temporary files is searched too.
  process.env.TMPDIR = join(root, 'tmp');
  // Folders and files name the patients, below a path that a user may type.
  cpSync(folderA, join(root, 'input/one', basename(folderA)), { recursive: true });
  cpSync(folderB, join(root, 'input/two', basename(folderB)), { recursive: true });
});
afterAll(() => {
  delete process.env.PATCHWISE_PATIENT_KEY;
  if (temporaryPlace === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = temporaryPlace;
  rmSync(root, { recursive: true, force: true, maxRetries: 3 });
});

/** Runs a command, which must name nobody in what it prints. Returns what it prints. */
async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await command.run(args);
  expect(code, stderr).toBe(0);
  expect(leaks(Buffer.from(stdout + stderr)), args.join(' ')).toEqual([]);
  return stdout;
}

describe('from DICOM to a report', { timeout: 400_000 }, () => {
  it('the search finds names, ids and dates in DICOM, in what is packed, and in names of folders', () => {
    const [folder] = readdirSync(join(root, 'input/one'));
    const dicom = readFileSync(join(root, 'input/one', folder!, 'ST000000/SE000002/IM0000'));
    const found = ['Müller', 'MRN-004217', '19610517', '20190203', 'Weißenborn'];
    expect(leaks(dicom)).toEqual(expect.arrayContaining(found));
    expect(leaks(gzipSync(dicom))).toEqual(expect.arrayContaining(found));
    const packed = gzipSync(dicom).toString('base64');
    expect(leaks(Buffer.from(`<script>data = "${packed}"</script>`))).toEqual(expect.arrayContaining(found));
    expect(leaks(Buffer.from(folder!))).toContain('MUELLER');
  });

  it('nothing that is printed names anybody', async () => {
    await run('convert', 'input/one', 'nifti');
    await run('prepare', 'input', 'dataset');
    const settings = [
      '--preset',
      'toy',
      '--steps',
      '2',
      '--ranks',
      '1',
      '--set',
      'patch=16,16,4',
      'stride=16,16,4',
    ];
    const trained = await run(
      'train',
      '--data',
      'input/one',
      ...settings,
      'model.hidden=4',
      'model.groups=2',
    );
    const id = /\d{4}-\d\d-\d\d-\d{6}-[\w-]+/.exec(trained)![0];
    const one = ['--overlap', '0', '--workers', '1'];
    await run('evaluate', id, 'input/one', ...one);
    await run('encode', id, 'input/one', '-o', 'codes', '--workers', '1');
    await run('reconstruct', id, 'input/one', 'made.nii.gz', ...one);
    await run('runs', 'show', id);
    const parameters = ['-p', 'steps=2', '-p', 'ranks=1', '--volume', 'input/one'];
    await run('notebook', 'run', quickstart, ...parameters, '-o', 'reports/quickstart.ipynb', '--html');
    const input = await command.run(['plan', '--volume', 'input']);
    expect(input.code).not.toBe(0);
    expect(leaks(Buffer.from(input.stderr))).toEqual([]);
  });

  it('nothing that is written names anybody, neither its bytes nor its name', () => {
    const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((path) => !/^input(\/|$)/.test(path))) {
      expect(leaks(Buffer.from(name)), name).toEqual([]);
      const path = join(root, name);
      if (!statSync(path).isFile()) continue;
      expect(leaks(readFileSync(path)), name).toEqual([]);
      const ending = /\.\w+$/.exec(name)?.[0] ?? '';
      searched.set(ending, (searched.get(ending) ?? 0) + 1);
    }
    for (const ending of ['.html', '.ipynb', '.json', '.jsonl', '.log', '.npz', '.gz', '.safetensors'])
      expect(searched.get(ending), `${ending} of ${[...searched.keys()]}`).toBeGreaterThan(0);
  });
});
