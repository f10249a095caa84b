/** Pseudonyms of patients, and hiding of what names them. */
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { withPath } from '../../atomic-file';
import { InvalidArgument } from '../../errors';
import { makeFolder } from '../../make-folder';
import type { DicomHeader, Person } from './header';

/**
 * Makes pseudonyms with a secret key. Patients' ids are short numbers, so without a secret everyone could try them all.
 * The key lies in the user's own folder and never in a dataset. The same key gives the same patient the same pseudonym
 * in every folder and every call.
 */
export class Pseudonyms {
  private constructor(private readonly key: Buffer) {}

  /**
   * With the key of PATCHWISE_PATIENT_KEY (the path of a file), or of the user's configuration. Makes the key if there is
   * none. Throws InvalidArgument if the file cannot be read or made.
   */
  static open(path = keyPath()): Pseudonyms {
    try {
      makeFolder(dirname(path));
      writeFileSync(path, `${randomBytes(32).toString('hex')}\n`, { flag: 'wx', mode: 0o600 });
    } catch (error) {
      // A key that is there is read, from a read-only place too.
      const { code = '' } = error as NodeJS.ErrnoException;
      if (!['EEXIST', 'EROFS', 'EACCES', 'EPERM'].includes(code)) throw withPath(error, path);
    }
    const key = readKey(path);
    if (/^[0-9a-f]{64}$/.test(key)) return new Pseudonyms(Buffer.from(key, 'hex'));
    const expected =
      'a file with the key of the pseudonyms (64 hexadecimal digits), or a place where one can be made';
    throw new InvalidArgument('PATCHWISE_PATIENT_KEY', expected, path);
  }

  /** Tells keys apart without giving them away. */
  get fingerprint(): string {
    return this.digest('fingerprint').toString('hex').slice(0, 16);
  }

  /**
   * `P` and 12 digits, by the patient's id alone: if one clinic writes the issuer of its ids and another does not, one
   * patient must not become two, who could land on two sides of a split. Without an id, by name and date of birth; without
   * these, by the study.
   */
  patient({ person: { id, name, birth }, study }: DicomHeader): string {
    const known = id !== '' ? ['id', id] : name !== '' ? ['name', name, birth] : ['study', study];
    return `P${this.digits(12, 'patient', ...known)}`;
  }

  /** The name of a series: patient, number, and digits that tell series of the same number apart. */
  series(header: DicomHeader): string {
    const own = this.digits(6, 'series', header.study, header.series);
    return `${this.patient(header)}_s${Math.abs(header.seriesNumber ?? 0)}_${own}`;
  }

  private digits(count: number, ...parts: readonly string[]): string {
    const number = this.digest(...parts).readBigUInt64BE() % 10n ** BigInt(count);
    return number.toString().padStart(count, '0');
  }

  private digest(...parts: readonly string[]): Buffer {
    return createHmac('sha256', this.key).update(parts.join('\0')).digest();
  }
}

/** Whether a text is the name of a patient, as `Pseudonyms` gives it. */
export function isPseudonym(text: string): boolean {
  return /^P\d{12}$/.test(text);
}

/** Whether a text is the name of a series, as `Pseudonyms` gives it. */
export function isSeriesName(text: string): boolean {
  return /^P\d{12}_s\d+_\d{6}$/.test(text);
}

function keyPath(): string {
  const configuration = process.env.XDG_CONFIG_HOME || join(homedir(), '.config');
  return process.env.PATCHWISE_PATIENT_KEY || join(configuration, 'patchwise', 'patient-key');
}

function readKey(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

/**
 * A series' description without what names the patient: words of names and ids that the file holds, and everything that
 * could be a date or an id (five digits and more).
 */
export function safeDescription(description: string, person: Person): string {
  const secret = new Set(
    [person.id, person.name, person.birth, ...person.others].flatMap(wordsOf).flatMap(spellings),
  );
  const dates = /\d{1,4}([./-])\d{1,2}\1\d{1,4}|\d{5,}/g;
  return description
    .replace(dates, '*')
    .replace(/[\p{L}\p{M}\p{N}]+/gu, (word) =>
      spellings(word).some((form) => secret.has(form)) ? '*' : word,
    )
    .replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S}]+/gu, ' ')
    .trim()
    .slice(0, 64);
}

function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{M}\p{N}]{2,}/gu) ?? [];
}

/** The ways in which people write a word without its accents: `mueller` and `muller` of `Müller`. */
function spellings(word: string): string[] {
  const lower = word.normalize('NFC').toLowerCase();
  const german = lower.replace(/[äöüßøåæœ]/g, (letter) => germanLetters[letter]!);
  const plain = (text: string) => text.normalize('NFD').replace(/\p{M}/gu, '').replace('ß', 'ss');
  return [...new Set([lower, plain(german), plain(lower)])];
}

const germanLetters: Readonly<Record<string, string>> = {
  ä: 'ae',
  ö: 'oe',
  ü: 'ue',
  ß: 'ss',
  ø: 'oe',
  å: 'aa',
  æ: 'ae',
  œ: 'oe',
};

/** Words of folders and files that scanners and archives make themselves. */
const ownWords =
  /^(?:a|acq|axial|cd|ct|data|dcm|dicom|e|export|files?|frame|i|im|image|images|img|mr|odd|pa|pat|patient|s|scan|scans|se|ser|series|slice|slices|sr|st|study|vol|volume)?[-_]?\d{0,5}(?:\.(?:dcm|dicom|ima|img))?$/i;

/** A path that a person may see: parts that could name the patient become `*`. */
export function safePath(path: string): string {
  return path
    .split('/')
    .map((part) => (ownWords.test(part) ? part : '*'))
    .join('/');
}
