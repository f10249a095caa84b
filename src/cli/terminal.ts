import {
  type ChosenCheckpoint,
  type Inspection,
  type IntensitySpec,
  InvalidArgument,
  type LongCall,
  type Progress,
  type SeriesChoice,
  type Size,
} from '../index';
import { escapeControls, onOneLine, strictError } from '../internal';

/** A progress bar on stderr that redraws one line on a terminal and prints every tenth elsewhere. */
function progressBar(label: string): (progress: Progress) => void {
  let last = -1;
  return ({ done, total, what }) => {
    const tenth = Math.floor((10 * done) / Math.max(1, total));
    if (process.stderr.isTTY) {
      const bar = '#'.repeat(Math.round((24 * done) / Math.max(1, total))).padEnd(24, '.');
      process.stderr.write(`\r${label} [${bar}] ${done}/${total} ${what}${done >= total ? '\n' : ' '}`);
    } else if (tenth !== last) process.stderr.write(`${label} ${done}/${total} ${what}\n`);
    last = tenth;
  };
}

/** The signals that a terminal, Slurm or Kubernetes sends to end a command. */
const STOPS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The first Ctrl-C or other stop signal aborts a long call; the second ends the process. */
export function interruptible(label: string): LongCall {
  const controller = new AbortController();
  for (const signal of STOPS) process.once(signal, () => controller.abort());
  return { signal: controller.signal, onProgress: progressBar(label) };
}

/** Writes a line to stderr. File names in it may hold anything. */
export function tell(line: string): void {
  process.stderr.write(`${onOneLine(line)}\n`);
}

/** Writes a text of several lines, in which names are on one line each. */
export function tellText(text: string): void {
  process.stderr.write(`${escapeControls(text)}\n`);
}

/**
 * Names the volumes that were left out. The command goes on with the others, and ends as `exitCodes` in failure.ts says.
 */
export function tellLeftOut(
  leftOut: readonly { readonly file: string; readonly reason: string }[],
  given: readonly unknown[] = [],
): void {
  for (const { file, reason } of leftOut) tell(`left out ${file}: ${reason}`);
  if (leftOut.some(({ file }) => given.includes(file))) process.exitCode = 1;
}

/** Ends the command if anything is left out or odd. */
export function refuseOdd(input: string, inspection: Inspection): void {
  const error = strictError(input, inspection);
  if (error) throw error;
}

/** A line that names the model used. */
export function modelLine({ step, why }: ChosenCheckpoint): string {
  return `model: step ${step}, ${why}`;
}

export function tablesText(tables: readonly { toText(): string }[]): string {
  return tables.map((table) => table.toText()).join('\n\n');
}

/** One number for all axes, or `256,256,128` or `256x256x128` for [x, y, z]. */
export function parseSize(text: string): Size {
  const [x, y, z, ...more] = text.split(/[,x]/).map(parseNumber);
  if (y === undefined) return x!;
  if (z === undefined || more.length > 0)
    throw new InvalidArgument('size', 'one number, or three: x,y,z', text);
  return [x!, y, z];
}

/** An intensity: a name, or `low,high`. */
/** Digits are a series' number; other text is a part of its name or description. */
export function parseSeries(text: string): SeriesChoice {
  return /^\d+$/.test(text) ? Number(text) : text;
}

export function parseIntensity(text: string): IntensitySpec {
  const [low, high, ...rest] = text.split(',');
  if (high === undefined || rest.length > 0) return text as IntensitySpec;
  return [parseNumber(low!), parseNumber(high)];
}

/** Reads numbers that pass a test. */
function numbers(expected: string, accepts: (value: number) => boolean): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isFinite(value) && accepts(value)) return value;
    throw new InvalidArgument('option', expected, text);
  };
}

export const parseNumber = numbers('a number', () => true);
export const parsePositive = numbers('a number above 0', (value) => value > 0);
/** A seed, or a position counted from 0. */
export const parseWhole = numbers('a whole number from 0', (value) => Number.isInteger(value) && value >= 0);
export const parseCount = numbers('a whole number above 0', (value) => Number.isInteger(value) && value > 0);

/** Rows of cells as aligned columns. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]!.length))) ?? [];
  const line = (row: readonly string[]) => row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ');
  return rows.map((row) => line(row).trimEnd());
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 2 ** (10 * power)).toFixed(power ? 1 : 0)} ${units[power]}`;
}
