import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/random';
import { NotDicom } from '../../src/volume/dicom/elements';
import { readHeader } from '../../src/volume/dicom/header';
import { Pseudonyms, safeDescription, safePath } from '../../src/volume/dicom/pseudonym';
import { patientByName } from '../../src/volume/patient-name';
import { folderA, folderB, tree } from './dicom-fixtures';
import { temporaryFolder } from './folder';

const temporary = temporaryFolder();
/** 600 cases in every test run; the long form is PATCHWISE_FUZZ=10000 npx vitest run test/volume/dicom-header.test.ts */
const cases = Number(process.env.PATCHWISE_FUZZ ?? 600);
const person = { id: 'MRN-004217', name: 'Müller^Jürgen', birth: '19610517', others: ['Weißenborn^Ute'] };

describe('a DICOM header', () => {
  it('is read in every transfer syntax, with the patient in the file’s character set', () => {
    const paths = [
      join(folderA, 'ST000000', 'SE000001', 'IM0000'),
      join(folderA, 'ST000000', 'SE000002', 'IM0000'),
    ];
    for (const path of paths) {
      const header = readHeader(path);
      expect(header.person).toMatchObject({ id: 'MRN-004217', name: 'Müller^Jürgen', birth: '19610517' });
      expect(header).toMatchObject({ samples: 1, pixels: 'whole', modality: 'CT' });
      expect(header.format).toMatchObject({ rows: 20, columns: 24, allocated: 16, stored: 12, high: 11 });
      expect(header.pixelSpacing).toEqual([0.8, 0.7]);
      expect(header.positions).toHaveLength(1);
    }
    const packed = readHeader(join(folderB, 'DICOM', 'DEF0000'));
    expect(packed).toMatchObject({ seriesNumber: 16, pixels: 'whole', format: { rows: 20, columns: 24 } });
    const big = readHeader(join(folderB, 'DICOM', 'BE0000.IMA'));
    expect(big).toMatchObject({
      format: { rows: 20, columns: 24 },
      seriesNumber: 15,
      person: { name: 'Gonçalves^José' },
    });
    expect(readHeader(join(folderB, 'enhanced', 'EN0000')).positions).toHaveLength(6);
    expect(readHeader(join(folderB, 'broken', '41', 'IM0002')).pixels).toBe('cut');
  });

  it('of a deflated file that is cut short or damaged is refused with the reason', () => {
    const whole = readFileSync(join(folderB, 'DICOM', 'DEF0000'));
    const path = join(temporary(), 'deflated');
    writeFileSync(path, whole.subarray(0, whole.length - 20));
    expect(() => readHeader(path)).toThrow(new NotDicom('cut short'));
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, whole.length - 60);
    writeFileSync(path, damaged);
    expect(() => readHeader(path)).toThrow(NotDicom);
  });

  it(`of ${cases} damaged files is read or refused, and nothing else`, {
    timeout: 60_000 + cases * 100,
  }, () => {
    const files = readdirSync(tree, { recursive: true, encoding: 'utf8' })
      .map((name) => join(tree, name))
      .filter((path) => statSync(path).isFile())
      .map((path) => readFileSync(path));
    const random = new Random(19);
    const upTo = (end: number) => Math.floor(random.next() * end);
    const path = join(temporary(), 'mutant');
    let refused = 0;
    for (let round = 0; round < cases; round++) {
      let bytes = Buffer.from(files[upTo(files.length)]!);
      for (let change = upTo(5); change >= 0; change--) {
        const at = upTo(Math.min(1400, bytes.length));
        const kind = upTo(4);
        if (kind === 0) bytes = bytes.subarray(0, at + 1);
        else if (kind === 1) bytes.fill(0xff, at, Math.min(bytes.length, at + 4));
        else if (kind === 2)
          bytes = Buffer.concat([bytes.subarray(0, at + 1), bytes.subarray(at + 1 + upTo(40))]);
        else bytes[at] = upTo(256);
      }
      writeFileSync(path, bytes);
      try {
        readHeader(path);
      } catch (error) {
        expect(error).toBeInstanceOf(NotDicom);
        refused++;
      }
    }
    console.info(`${refused} of ${cases} refused`);
    expect(refused).toBeGreaterThan(cases / 12);
    expect(refused).toBeLessThan(0.98 * cases);
  });
});

describe('what names a patient', () => {
  it('is hidden in a description, in every spelling, and so is what may be a date or an id', () => {
    const safe = (text: string) => safeDescription(text, person);
    expect(safe('Thorax 2.0 B30f')).toBe('Thorax 2.0 B30f');
    expect(safe('MÜLLER Thorax')).toBe('* Thorax');
    expect(safe('mueller, Juergen: Lunge (Dr. Weissenborn)')).toBe('*, *: Lunge (Dr. *)');
    expect(safe('Muller 17.05.1961 1961-05-17 19610517')).toBe('* * * *');
    expect(safe('Abdomen\u0007\u001b[31m 004217')).toBe('Abdomen [31m *');
  });

  it('is hidden in a path, but for words of scanners', () => {
    expect(safePath('MUELLER_HANS/ST000000/SE000002/IM0004')).toBe('*/*/*/IM0004');
    expect(safePath('DICOM/ST00001/SE0002/IM0004.dcm')).toBe('DICOM/ST00001/SE0002/IM0004.dcm');
    expect(safePath('Otto12/19610517/1.2.840.113619')).toBe('*/*/*');
  });

  it('becomes a pseudonym that file names carry to the split', () => {
    const path = join(folderA, 'ST000000', 'SE000001', 'IM0000');
    const pseudonyms = Pseudonyms.open(join(temporary(), 'key'));
    const header = readHeader(path);
    const patient = pseudonyms.patient(header);
    expect(patientByName(`${pseudonyms.series(header)}.nii.gz`)).toBe(patient);
    expect(Pseudonyms.open(join(temporary(), 'key')).patient(header)).toBe(patient);
    expect(Pseudonyms.open(join(temporary(), 'key')).fingerprint).toBe(pseudonyms.fingerprint);
  });
});
