/** Records and tables of figures as danfojs data frames, and the places where danfojs 1.2.0 does not do what it says. */
import { writeFile } from 'node:fs/promises';
import { env, Tensor } from '@tensorflow/tfjs-core';
// biome-ignore lint/suspicious/noTsIgnore: an error only where the optional package was left out
// @ts-ignore its types are then unknown, and the build goes on
import type { DataFrame } from 'danfojs-node';
import { InvalidArgument, UnavailablePackage } from '../errors';
import { median } from '../median';
import type { Run } from '../train/run';

// biome-ignore lint/suspicious/noTsIgnore: as above
// @ts-ignore as above
type Danfo = typeof import('danfojs-node');

/** A row of a frame. What is missing or undefined becomes NaN in a column of numbers, '' in one of text. */
export type FrameRow = Readonly<Record<string, unknown>>;

let loaded: Danfo | undefined;

/**
 * The danfojs library, loaded when it is first asked for (it takes some seconds).
 * @throws UnavailablePackage where it was left out of the installation
 */
export function danfo(): Danfo {
  if (loaded) return loaded;
  // It brings a copy of tfjs-core, which would warn in every notebook that another one is there.
  env().set('PROD', true);
  try {
    require('@tensorflow/tfjs-backend-cpu'); // a frame computes where nothing else has chosen a backend
    loaded = require('danfojs-node') as Danfo;
  } catch (cause) {
    const how = 'npm install (without --omit=optional)';
    throw new UnavailablePackage('danfojs-node', 'data frames', how, { cause });
  }
  chainOps(loaded);
  return loaded;
}

/**
 * danfojs calls operations as methods of tensors (`a.add(b)`), which tfjs-core alone does not have. Its copy of
 * tfjs-core and ours share one engine, which makes tensors of the class of the copy that was loaded first.
 */
function chainOps({ tensorflow }: Danfo): void {
  for (const { prototype } of [tensorflow.Tensor, Tensor]) {
    const methods = prototype as unknown as Record<string, unknown>;
    for (const [name, operation] of Object.entries(tensorflow as unknown as Record<string, unknown>)) {
      if (typeof operation !== 'function' || !operation.name.endsWith('__op') || name in methods) continue;
      methods[name] = function (this: unknown, ...rest: unknown[]): unknown {
        return operation(this, ...rest);
      };
    }
  }
}

/**
 * A frame of rows with the columns of all of them: danfojs itself takes those of the first row. Lists become text.
 *
 * ```ts
 * const frame = pw.frameOf([{ volume: 'a', psnr: 31.5 }, { volume: 'b', psnr: 33.1 }]);
 * console.log(frame['psnr'].mean());
 * ```
 * @throws InvalidArgument where there is no row, or a column has the name of a property that danfojs lives by (`index`,
 *   `values`, …): it keeps every column as a property of the frame
 */
export function frameOf(rows: readonly FrameRow[]): DataFrame {
  if (rows.length === 0) throw new InvalidArgument('rows', 'at least one row', []);
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const values = columns.map((column) => columnOf(rows.map((row) => row[column])));
  const { DataFrame } = danfo();
  const taken = columns.find((column) => isAccessor(DataFrame.prototype, column));
  if (taken !== undefined)
    throw new InvalidArgument('rows', 'columns of other names than danfojs has itself', taken);
  return new DataFrame(
    rows.map((_, row) => values.map((column) => column[row]!)),
    { columns },
  );
}

function isAccessor(prototype: object | null, name: string): boolean {
  if (prototype === null) return false;
  const own = Object.getOwnPropertyDescriptor(prototype, name);
  return own ? own.get !== undefined : isAccessor(Object.getPrototypeOf(prototype), name);
}

/** All numbers with NaN for what is missing, or all text with '' for it; true and false are 1 and 0. */
function columnOf(values: readonly unknown[]): (number | string)[] {
  const plain = values.map((value) => (typeof value === 'boolean' ? Number(value) : (value ?? undefined)));
  const numbers = plain.filter((value) => value === undefined || typeof value === 'number');
  if (numbers.length === plain.length) return numbers.map((value) => value ?? Number.NaN);
  return plain.map((value) => (typeof value === 'object' ? JSON.stringify(value) : String(value ?? '')));
}

/**
 * The records of one or more runs: a row a record, with the run's id in `run`. Parts are columns of their own:
 * `seconds.forward`, `secondsByRank.0`.
 */
export async function runFrame(runs: Run | readonly Run[]): Promise<DataFrame> {
  const parts = await Promise.all(
    [runs]
      .flat()
      .map(async (run: Run) => (await run.records()).map((record) => ({ run: run.id, ...flat(record) }))),
  );
  return frameOf(parts.flat());
}

function flat(value: object, path = ''): FrameRow {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, part]) =>
      typeof part === 'object' && part !== null
        ? Object.entries(flat(part, `${path}${key}.`))
        : [[`${path}${key}`, part]],
    ),
  );
}

/** The rows of a frame as objects. */
export function frameRows(frame: DataFrame): Record<string, number | string>[] {
  const { columns } = frame;
  return (frame.values as (number | string)[][]).map((row) =>
    Object.fromEntries(columns.map((column: string, i: number) => [column, row[i]!])),
  );
}

/**
 * Count, mean, standard deviation, least, median and greatest of every column of numbers, over the values that are
 * there. danfojs' own `describe` gives NaN for a column with one missing value.
 */
export function describeFrame(frame: DataFrame): DataFrame {
  const rows = frameRows(frame);
  const described = frame.columns.flatMap((column: string) => {
    const all = rows.map((row) => row[column]);
    if (!all.every((value) => typeof value === 'number')) return [];
    const values = (all as number[]).filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
    return [{ column, ...summaryOf(values) }];
  });
  return frameOf(described);
}

function summaryOf(sorted: readonly number[]): Record<string, number> {
  const count = sorted.length;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / count;
  const squares = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const [min = Number.NaN, max = Number.NaN] = [sorted[0], sorted[count - 1]];
  return { count, mean, std: Math.sqrt(squares / (count - 1)), min, median: median(sorted), max };
}

/** A new frame with something in place of what is missing; danfojs' `fillNa` by columns leaves old values in `column()`. */
export function fillMissing(frame: DataFrame, values: Readonly<Record<string, number | string>>): DataFrame {
  const unknown = Object.keys(values).find((column) => !frame.columns.includes(column));
  if (unknown !== undefined)
    throw new InvalidArgument('values', 'columns of the frame', unknown, frame.columns);
  const missing = (value: unknown) => value === '' || Number.isNaN(value);
  const filled = (column: string, value: unknown) =>
    missing(value) && column in values ? values[column] : value;
  return frameOf(
    frameRows(frame).map((row) =>
      Object.fromEntries(Object.entries(row).map(([column, value]) => [column, filled(column, value)])),
    ),
  );
}

/**
 * A frame as CSV by RFC 4180: danfojs' `toCSV` does not quote commas, quotes and line breaks. What is missing is
 * empty.
 * @param path also writes the text to this file
 */
export async function frameToCsv(frame: DataFrame, path?: string): Promise<string> {
  const cell = (value: number | string): string => {
    const text = Number.isNaN(value) ? '' : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [frame.columns, ...(frame.values as (number | string)[][])];
  const text = lines.map((row) => `${row.map(cell).join(',')}\n`).join('');
  if (path !== undefined) await writeFile(path, text);
  return text;
}
