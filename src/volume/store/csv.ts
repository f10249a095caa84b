import { readFileSync } from 'node:fs';
import { InvalidArgument } from '../../errors';
import { type SplitName, splitNames } from './format';

/** A line of a patient table. */
export interface PatientRow {
  /** As the table spells it: relative to the input folder, or the file's name alone. */
  readonly file: string;
  readonly patient: string;
  readonly split?: SplitName;
}

const columns = ['file', 'patient', 'split'] as const;

/**
 * Reads a table `file,patient[,split]`, comma separated, with or without those names in its first line (then in any
 * order). Throws InvalidArgument with the line that is wrong.
 */
export function readPatientTable(path: string): PatientRow[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InvalidArgument('csv', `a file (${(error as NodeJS.ErrnoException).code})`, path);
  }
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const head = cells(lines[0]!).map((cell) => cell.toLowerCase());
  const named = head.includes('file') && head.includes('patient');
  const place = (name: (typeof columns)[number]) => (named ? head.indexOf(name) : columns.indexOf(name));
  return lines.flatMap((line, n) => {
    if (line.trim() === '' || (named && n === 0)) return [];
    const row = cells(line);
    const [file, patient, split] = columns.map((name) => row[place(name)] ?? '');
    const wrong = (expected: string) => new InvalidArgument(`csv line ${n + 1}`, expected, line);
    if (!file || !patient) throw wrong('file,patient or file,patient,split');
    if (split && !splitNames.includes(split as SplitName)) throw wrong(`a split: ${splitNames.join(', ')}`);
    return [{ file, patient, ...(split && { split: split as SplitName }) }];
  });
}

/** The cells of a line; one in quotes may hold commas, and quotes written twice. */
function cells(line: string): string[] {
  const found = [...line.matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))/g)];
  return found.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!.trim());
}
