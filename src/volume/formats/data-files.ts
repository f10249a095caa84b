/** The files with voxels that a header of text names. */
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { UnreadableFile } from '../../errors';
import { print } from './text-readers';

/** More files than any series of slices has. */
const mostFiles = 100_000;

/** The file of a name in a header. The name is UTF-8, which the parsers read as latin1, to count bytes. */
export function fileBeside(header: string, name: string): string {
  const own = Buffer.from(name, 'latin1').toString('utf8');
  if (own.trim() === '' || own.includes('\0'))
    throw new UnreadableFile(header, 'the name of a file with voxels', print(name));
  return isAbsolute(own) ? own : join(dirname(header), own);
}

/** The files that the lines of a text name. */
export function listedFiles(header: string, text: string): string[] {
  const names = text.split('\n').map((line) => line.trim());
  return names.filter((name) => name !== '').map((name) => fileBeside(header, name));
}

/** The files of a pattern as in printf (`slice%03d.raw`) with the numbers `first` to `last`. */
export function numberedFiles(
  header: string,
  pattern: string,
  [first, last, step]: readonly [number, number, number],
): string[] {
  const steps = (last - first) / step;
  if (![first, last, step].every(Number.isSafeInteger) || !(steps >= 0 && steps < mostFiles)) {
    const found = print(`${pattern} ${first} ${last} ${step}`);
    throw new UnreadableFile(header, 'a file pattern with the first and last number and a step', found);
  }
  return Array.from({ length: Math.floor(steps) + 1 }, (_, n) => {
    const number = first + n * step;
    const name = pattern.replace(/%(?:%|(0?)(\d{0,2})[diu])/g, (mark, zero: string, width: string) =>
      mark === '%%' ? '%' : padded(number, Number(width), zero === '0'),
    );
    return fileBeside(header, name);
  });
}

function padded(number: number, width: number, withZeros: boolean): string {
  if (!withZeros) return String(number).padStart(width, ' ');
  const sign = number < 0 ? '-' : '';
  return sign + String(Math.abs(number)).padStart(width - sign.length, '0');
}

/** Refuses another number of files than the volume needs. */
export function checkCount(header: string, files: readonly string[], expected: number): readonly string[] {
  if (files.length === expected) return files;
  throw new UnreadableFile(header, `the names of ${expected} files with voxels`, `${files.length}`);
}

/** Refuses files that do not exist. `field` names them. */
export function checkPresence(header: string, files: readonly string[], field: string): readonly string[] {
  const missing = files.find((file) => !existsSync(file));
  if (missing === undefined) return files;
  throw new UnreadableFile(header, `its voxels in ${missing} (${field})`, 'no such file; put it there');
}
