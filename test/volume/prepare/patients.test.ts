import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { InvalidArgument } from '../../../src/errors';
import { patientByName, patientsBelow } from '../../../src/volume/patient-name';
import { readPatientTable } from '../../../src/volume/prepare/csv';
import { patientsOf, splitPatients } from '../../../src/volume/prepare/patients';
import { type Source, searchInput } from '../../../src/volume/prepare/sources';
import { temporaryFolder } from '../folder';

const source = (file: string): Source => ({
  path: `/in/${file}`,
  file,
  name: file,
  patient: patientByName(file),
});

describe('the patient of a file', () => {
  it.each([
    ['LIDC-IDRI-0001.nii.gz', 'LIDC-IDRI-0001'],
    ['PAT001_20200101.nii.gz', 'PAT001'],
    ['train_1_a_2.nii.gz', 'train_1'], // CT-RATE
    ['sub-01/ses-02/sub-01_ses-02_ct.nii', 'sub-01'], // BIDS
    ['s0012/ct.nii.gz', 's0012'], // TotalSegmentator
    ['case_00003_0000.nii.gz', 'case_00003'], // nnU-Net
    ['1.2.840.113619.2.5.nii', '1.2.840.113619.2.5'],
    ['ct.hdr', 'ct'],
    ['set/first.nii', 'set/first'],
  ])('%s is of %s', (file, patient) => expect(patientByName(file)).toBe(patient));

  it.each([
    [
      ['in/s1', 'in/s2'],
      ['in/s1/ct.nii', 'in/s2/ct.nii'],
      ['s1', 's2'],
    ],
    [['study7/in'], ['study7/in/anna.nii', 'study7/in/bert.nii'], ['anna', 'bert']],
    [['study7'], ['study7/ct.nii'], ['ct']],
    [
      ['/', '/in/s1'],
      ['/ct.nii', '/in/s1/ct.nii'],
      ['ct', 's1'],
    ],
    [
      ['in/s1', 'in/s10'],
      ['in/s1/ct.nii', 'in/s10/ct.nii'],
      ['s1', 's10'],
    ],
  ])('of %j is told below the folder that holds all', (folders, files, patients) =>
    expect(patientsBelow(folders, files)).toEqual(patients),
  );

  it('is the first group of a pattern', () => {
    const files = [source('a/x-7_1.nii'), source('b/x-8_1.nii')];
    expect([...patientsOf(files, { pattern: '-(\\d)' }).values()].map((o) => o.patient)).toEqual(['7', '8']);
    expect(() => patientsOf(files, { pattern: 'x-7' })).toThrow(/b\/x-8_1/);
    expect(() => patientsOf(files, { pattern: '(' })).toThrow(InvalidArgument);
  });
});

describe('a patient table', () => {
  const folder = temporaryFolder();
  const table = (text: string | Buffer) => {
    const path = join(folder(), 'table.csv');
    writeFileSync(path, text);
    return readPatientTable(path);
  };
  const files = [source('a/one.nii.gz'), source('b/two.nii'), source('b/three.nii')];

  it('has names in any order, or none, and quoted cells', () => {
    const rows = [{ file: 'one', patient: 'P, 1', split: 'test' }];
    expect(table('Split,file,patient\r\ntest,one,"P, 1"\r\n')).toEqual(rows);
    expect(table('one,"P, 1",test')).toEqual(rows);
    expect(table('one,"P ""x"""')).toEqual([{ file: 'one', patient: 'P "x"' }]);
  });

  it.each([
    ['the line ends of old Macs', 'file,patient,split\rone,A,test\rb/two.nii,B,\r'],
    ['those of Windows, and empty rows', 'file,patient,split\r\n,,\r\none,A,test\r\n\r\ntwo,B,\r\n'],
    ['a byte order mark', '\uFEFFfile,patient,split\none,A,test\ntwo,B'],
    ['no header', 'one,A,test\ntwo,B'],
  ])('has %s', (_what, text) => {
    const owners = patientsOf(files, { table: table(text) });
    expect([...owners.values()]).toEqual([{ patient: 'A', split: 'test' }, { patient: 'B' }]);
  });

  it('may be UTF-16, as Excel writes it', () => {
    const little = Buffer.from('\uFEFFfile,patient\r\none,Jörg\r\n', 'utf16le');
    expect(table(little)).toEqual([{ file: 'one', patient: 'Jörg' }]);
    expect(table(Buffer.from(little).swap16())).toEqual([{ file: 'one', patient: 'Jörg' }]);
  });

  it('has line ends and commas in quotes, and counts lines with them', () => {
    expect(table('"one\nA, B","P"\n')).toEqual([{ file: 'one\nA, B', patient: 'P' }]);
    expect(() => table('"one\nA","P"\nfour\n')).toThrow(/csv line 3/);
  });

  it.each(['', '\n\n', '\uFEFF', 'file,patient,split\n', 'file,patient,split', 'file,patient\r'])(
    'without a row is refused: %j',
    (text) => {
      expect(() => patientsOf(files, { table: table(text) })).toThrow(/csv: expected at least one row/);
    },
  );

  it('finds accents however they are spelt', () => {
    const source = { path: '/in/M\u00fcller.nii', file: 'Mu\u0308ller.nii', name: 'Mu_ller', patient: 'M' };
    const owners = patientsOf([source], { table: table('file,patient\nM\u00fcller.nii,A\n') });
    expect(owners.get(source)).toEqual({ patient: 'A' });
  });

  it('names files by path or name, and those it does not name are left out', () => {
    const owners = patientsOf(files, { table: table('file,patient,split\none,A,test\nb/two.nii,A,\n') });
    expect([...owners].map(([{ file }, { patient, split }]) => [file, patient, split])).toEqual([
      ['a/one.nii.gz', 'A', 'test'],
      ['b/two.nii', 'A', 'test'],
    ]);
  });

  it.each([
    ['one,A,test\ntwo,A,train', /patient A on one side/],
    ['four,A', /files of the input/],
    ['one,A,valid', /line 1: expected a split/],
    ['one', /line 1: expected file,patient/],
    ['one,A\n"two,B\nthree,C', /csv line 2: expected cells whose quotes are closed/],
    ['"one"x,A', /line 1: expected cells whose quotes/],
    ['one,A\none,B', /of one patient/],
  ])('%j is refused', (text, message) => {
    expect(() => patientsOf(files, { table: table(text) })).toThrow(message);
  });
});

describe('the split', () => {
  const patients = (n: number) => Array.from({ length: n }, (_, i) => `p${i}`);
  const fractions = [0.8, 0.1, 0.1] as const;
  const count = (sides: Map<string, string>) =>
    ['train', 'validation', 'test'].map((side) => [...sides.values()].filter((s) => s === side).length);

  it.each([
    [100, [80, 10, 10]],
    [10, [8, 1, 1]],
    [3, [1, 1, 1]],
    [2, [1, 1, 0]],
    [1, [1, 0, 0]],
  ])('of %i patients is %j', (n, sizes) => {
    for (const seed of [0, 1, 2])
      expect(count(splitPatients(patients(n), { fractions, seed }))).toEqual(sizes);
  });

  it('is drawn by the seed, whatever the order of the files', () => {
    const once = splitPatients(patients(40), { fractions, seed: 3 });
    expect(splitPatients(patients(40).reverse(), { fractions, seed: 3 })).toEqual(once);
    expect(splitPatients(patients(40), { fractions, seed: 4 })).not.toEqual(once);
  });

  it('moves nobody when patients join', () => {
    const before = splitPatients(patients(40), { fractions, seed: 3 });
    const after = splitPatients(patients(60), { fractions, seed: 3, fixed: before });
    for (const [patient, side] of before) expect(after.get(patient)).toBe(side);
    expect(count(after)).toEqual([48, 6, 6]);
  });

  it('holds out nothing where a fraction is 0', () => {
    expect(count(splitPatients(patients(5), { fractions: [1, 0, 0], seed: 0 }))).toEqual([5, 0, 0]);
  });
});

describe('searchInput', () => {
  const folder = temporaryFolder();

  it('searches folders and gives each file a name of its own', async () => {
    const root = join(folder(), 'in');
    for (const sub of ['a', 'b/.hidden']) mkdirSync(join(root, sub), { recursive: true });
    for (const file of ['a/ct.nii', 'a/CT.nii.gz', 'b/x y.hdr', 'b/x y.img', 'b/.hidden/z.nii', 'note.txt'])
      writeFileSync(join(root, file), '');
    const found = (await searchInput(root)).sources;
    expect(found.map(({ file }) => file)).toEqual(['a/CT.nii.gz', 'a/ct.nii', 'b/x y.hdr']);
    expect(found.map(({ name }) => name)).toEqual([
      expect.stringMatching(/^a__CT-[0-9a-f]{8}$/),
      expect.stringMatching(/^a__ct-[0-9a-f]{8}$/),
      'b__x_y',
    ]);
    await expect(searchInput(join(root, 'b/.hidden/none'))).rejects.toThrow(InvalidArgument);
  });

  it('gives the same names wherever the input is', async () => {
    const names = ['here', 'there/below'].map(async (place) => {
      const root = join(folder(), place);
      for (const file of ['a/ct.nii', 'a/CT.nii', 'a__ct.nii']) {
        mkdirSync(join(root, 'a'), { recursive: true });
        writeFileSync(join(root, file), '');
      }
      return (await searchInput(root)).sources.map(({ name }) => name);
    });
    expect(new Set(await names[0]).size).toBe(3);
    expect(await names[1]).toEqual(await names[0]);
  });

  it('tells files of the same name in several inputs apart', async () => {
    const roots = ['site1', 'site2'].map((site) => join(folder(), site));
    for (const root of roots) mkdirSync(root);
    for (const root of roots) writeFileSync(join(root, 'ct.nii'), '');
    expect(new Set((await searchInput(roots)).sources.map(({ name }) => name)).size).toBe(2);
  });

  it('gives short names to deep files, all different', async () => {
    const root = join(folder(), 'deep');
    const uid = `1.2.840.${'113619.2.55.'.repeat(7)}1`;
    mkdirSync(join(root, uid, uid), { recursive: true });
    for (const file of ['a.nii', 'b.nii']) writeFileSync(join(root, uid, uid, file), '');
    const names = (await searchInput(root)).sources.map(({ name }) => name);
    expect(new Set(names).size).toBe(2);
    for (const name of names) expect(name.length).toBeLessThanOrEqual(120);
  });

  it('refuses a folder with nothing but files that are no DICOM, whatever their names', async () => {
    const root = join(folder(), 'series');
    mkdirSync(root);
    writeFileSync(join(root, '1.dcm'), '');
    await expect(searchInput(root)).rejects.toThrow(/expected a folder with volumes \(.*, DICOM\)/);
  });
});
