/** Data frames, series and ndarrays of other libraries, known by their shape: as a table and as aligned text. */

import { inspect } from 'node:util';
import type { MimeBundle } from '../../src/display-protocol';
import { attempt } from '../../src/errors';
import { escapeHtml } from '../../src/escape';

/** Of more than these, the first and the last are shown. */
const MOST_ROWS = 20;
const MOST_COLUMNS = 20;

interface Grid {
  readonly columns: readonly string[];
  readonly index: readonly unknown[];
  readonly rows: readonly (readonly unknown[])[];
  readonly caption: string;
}

/** The bundle of a value that is a table or a number array of some library; undefined for every other value. */
export function tabularBundle(value: unknown): MimeBundle | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const grid = gridOf(value as Record<string, unknown>);
  return grid && { 'text/html': htmlOf(grid), 'text/plain': textOf(grid) };
}

function gridOf(value: Record<string, unknown>): Grid | undefined {
  // It throws for something with the same names that means something else by them.
  return attempt(() => frameOf(value) ?? ndarrayOf(value));
}

/** danfojs and its like: `columns`, `index` and `values`, rows of values or (a series) values. */
function frameOf({ columns, index, values, shape }: Record<string, unknown>): Grid | undefined {
  if (!Array.isArray(columns) || !isList(values)) return undefined;
  const rows = Array.from(values, (row) => (isList(row) ? Array.from(row) : [row]));
  const names = columns.map(String);
  if (rows.some((row) => row.length !== names.length)) return undefined;
  const labels = Array.isArray(index) && index.length === rows.length ? index : rows.map((_, at) => at);
  const [height, width] = Array.isArray(shape) && shape.length === 2 ? shape : [rows.length, names.length];
  return { columns: names, index: labels, rows, caption: `${height} rows × ${width} columns` };
}

/** ndarray: `shape`, `stride`, `offset`, `data` and `get`. Of more than two axes the others stand at their middle. */
function ndarrayOf(array: Record<string, unknown>): Grid | undefined {
  const { shape, stride, data, get, dtype } = array;
  if (!isNumbers(shape) || !isNumbers(stride) || typeof get !== 'function' || !('offset' in array))
    return undefined;
  if (!isList(data) && !ArrayBuffer.isView(data)) return undefined;
  const rest = shape.slice(2).map((size) => size >> 1);
  const [height = 1, width = 1] = shape;
  const isFlat = shape.length < 2;
  const index = spread(height, MOST_ROWS).filter((i) => i >= 0);
  const columns = isFlat ? [0] : spread(width, MOST_COLUMNS);
  const rows = index.map((i) =>
    columns.map((j) => (j < 0 ? '…' : get.apply(array, [i, j, ...rest].slice(0, shape.length)))),
  );
  const names = isFlat ? [''] : columns.map((j) => (j < 0 ? '…' : String(j)));
  const place = rest.length > 0 ? `, at [:, :, ${rest.join(', ')}]` : '';
  const caption = `ndarray ${String(dtype ?? '')} ${shape.join(' × ')}${place}`;
  return { columns: names, index, rows, caption };
}

/** The indices 0 to size - 1, or the first and last of them around a -1 that stands for the rest. */
function spread(size: number, most: number): number[] {
  const from = (start: number, count: number) => Array.from({ length: count }, (_, at) => start + at);
  const half = most >> 1;
  return size <= most ? from(0, size) : [...from(0, half), -1, ...from(size - half, half)];
}

function shown(grid: Grid): string[][] {
  const columns = spread(grid.columns.length, MOST_COLUMNS);
  const pick = (row: readonly unknown[]): string[] => columns.map((at) => (at < 0 ? '…' : text(row[at])));
  const head = ['', ...pick(grid.columns)];
  const body = spread(grid.rows.length, MOST_ROWS).map((at) =>
    at < 0 ? head.map(() => '…') : [text(grid.index[at]), ...pick(grid.rows[at]!)],
  );
  return [head, ...body];
}

function text(value: unknown): string {
  if (typeof value === 'number') return String(Number(value.toPrecision(6)));
  return typeof value === 'string'
    ? value
    : inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY });
}

function htmlOf(grid: Grid): string {
  const [head, ...body] = shown(grid).map((row) => row.map(escapeHtml));
  const line = (tag: string, [first, ...cells]: readonly string[]): string =>
    `<tr><th>${first}</th>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  const rows = body.map((row) => line('td', row)).join('');
  const table = `<table><thead>${line('th', head!)}</thead><tbody>${rows}</tbody></table>`;
  return `${table}<p>${escapeHtml(grid.caption)}</p>`;
}

function textOf(grid: Grid): string {
  const lines = shown(grid);
  const widths = lines[0]!.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)));
  const aligned = lines.map((line) => line.map((cell, at) => cell.padStart(widths[at]!)).join('  '));
  return `${aligned.join('\n')}\n${grid.caption}`;
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => Number.isInteger(entry));
}
