import { readFileSync } from 'node:fs';
import { InvalidArgument } from '../../errors';
import { isOwnFault, openError } from '../base/fault';
import { type SplitName, splitNames } from '../store/format';

/** A row of a patient table. */
export interface PatientRow {
  /** As written in the table: a path relative to the input folder, or the file's name. */
  readonly file: string;
  readonly patient: string;
  readonly split?: SplitName;
}

const columns = ['file', 'patient', 'split'] as const;

/**
 * Reads a comma-separated table `file,patient[,split]`. With these names in its first line, columns may have any order.
 * It accepts all line ends, a byte order mark, and UTF-16 from Excel. Throws InvalidArgument with the wrong line.
 */
export function readPatientTable(path: string): PatientRow[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw isOwnFault(openError(path, error))
      ? new InvalidArgument('csv', 'a file that can be read', path)
      : error;
  }
  const rows = rowsOf(textOf(bytes));
  const head = rows[0]?.cells.map((cell) => cell.toLowerCase()) ?? [];
  const named = head.includes('file') && head.includes('patient');
  const place = (name: (typeof columns)[number]) => (named ? head.indexOf(name) : columns.indexOf(name));
  return rows.slice(named ? 1 : 0).map(({ line, cells }) => {
    const [file, patient, split] = columns.map((name) => cells[place(name)] ?? '');
    const wrong = (expected: string) => new InvalidArgument(`csv line ${line}`, expected, cells.join(','));
    if (!file || !patient) throw wrong('file,patient or file,patient,split');
    if (split && !splitNames.includes(split as SplitName)) throw wrong(`a split: ${splitNames.join(', ')}`);
    return { file, patient, ...(split && { split: split as SplitName }) };
  });
}

/** Decodes UTF-8, or UTF-16 with a byte order mark. */
function textOf(bytes: Buffer): string {
  const [first, second] = bytes;
  if (first === 0xfe && second === 0xff) bytes.subarray(0, bytes.length & ~1).swap16();
  const wide = (first === 0xfe && second === 0xff) || (first === 0xff && second === 0xfe);
  return bytes.toString(wide ? 'utf16le' : 'utf8').replace(/^\uFEFF/, '');
}

interface Row {
  /** Line of its first cell, counted from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

/**
 * The rows that are not empty. A quoted cell may hold commas, line ends and doubled quotes. Throws InvalidArgument for an
 * open quote or text after a closed one.
 */
function rowsOf(text: string): Row[] {
  const rows: Row[] = [];
  let cells: string[] = [];
  let [line, start] = [1, 1];
  // One cell and its end: a comma, a line end or the end of the text.
  const cell = /[^\S\r\n]*(?:"((?:[^"]|"")*)"[^\S\r\n]*|([^,\r\n]*))(,|\r\n|\r|\n|$)/y;
  while (cell.lastIndex < text.length || cells.length > 0) {
    const at = cell.lastIndex;
    const match = cell.exec(text);
    if (!match || match[2]?.startsWith('"'))
      throw new InvalidArgument(`csv line ${line}`, 'cells whose quotes are closed', text.slice(at, at + 80));
    cells.push(match[1]?.replaceAll('""', '"') ?? match[2]!.trim());
    line += match[0].match(/\r\n|\r|\n/g)?.length ?? 0;
    if (match[3] === ',') continue;
    if (cells.some((value) => value !== '')) rows.push({ line: start, cells });
    [cells, start] = [[], line];
  }
  return rows;
}
