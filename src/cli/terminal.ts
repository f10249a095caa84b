import { type IntensitySpec, InvalidArgument, type LongCall, type Progress, type Size } from '../index';

/** Prints a command's answer: only JSON if asked for, else lines for a person. */
export function answer(
  json: boolean | undefined,
  value: unknown,
  lines: () => string | readonly string[],
): void {
  if (json) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  else process.stdout.write(`${[lines()].flat().join('\n')}\n`);
}

/** A progress bar on stderr that redraws one line on a terminal and prints every tenth elsewhere. */
export function progressBar(label: string): (progress: Progress) => void {
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

/** Names the volumes that were to be measured and could not be read. Without them the command has failed in part. */
export function tellLeftOut(leftOut: readonly { readonly file: string; readonly reason: string }[]): void {
  for (const { file, reason } of leftOut) process.stderr.write(`left out ${file}: ${reason}\n`);
  if (leftOut.length > 0) process.exitCode = 1;
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
export function parseIntensity(text: string): IntensitySpec {
  const [low, high, ...rest] = text.split(',');
  if (high === undefined || rest.length > 0) return text as IntensitySpec;
  return [parseNumber(low!), parseNumber(high)];
}

export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgument('option', 'a number', text);
  return value;
}

/** A length of time. */
export function parsePositive(text: string): number {
  const value = parseNumber(text);
  if (value <= 0) throw new InvalidArgument('option', 'a number above 0', text);
  return value;
}

/** A seed, or a position counted from 0. */
export function parseWhole(text: string): number {
  const value = parseNumber(text);
  if (!Number.isInteger(value) || value < 0)
    throw new InvalidArgument('option', 'a whole number from 0', text);
  return value;
}

export function parseCount(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgument('count', 'a whole number above 0', text);
  return value;
}

/** Rows of cells as aligned columns. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]!.length))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 2 ** (10 * power)).toFixed(power ? 1 : 0)} ${units[power]}`;
}
