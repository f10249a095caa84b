import { InvalidArgument } from '../../errors';
import { escapeHtml } from '../../escape';
import type { Place, Trace } from './figure';
import { clear, hairline, wash } from './theme';

export type Cell = string | number | boolean | null | undefined;

export interface TableInit {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly caption?: string;
}

/** A small table that shows itself: as HTML in a notebook, as aligned text in a terminal, as a trace in a figure. */
export class Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly caption: string | undefined;

  /** @throws InvalidArgument if a row does not have one cell for each column */
  constructor(init: TableInit) {
    const { columns, rows } = init;
    rows.forEach((row, i) => {
      if (row.length !== columns.length) {
        throw new InvalidArgument(`rows[${i}]`, `${columns.length} cells`, row.length);
      }
    });
    this.columns = columns;
    this.rows = rows;
    this.caption = init.caption;
  }

  toHtml(): string {
    const numeric = this.numericColumns();
    const cells = (tag: string, row: readonly string[]): string =>
      row
        .map(
          (text, i) =>
            `<${tag} style="text-align:${numeric[i] ? 'right' : 'left'}">${escapeHtml(text)}</${tag}>`,
        )
        .join('');
    const caption = this.caption ? `<caption>${escapeHtml(this.caption)}</caption>` : '';
    const body = this.texts()
      .map((row) => `<tr>${cells('td', row)}</tr>`)
      .join('');
    return `<table>${caption}<thead><tr>${cells('th', this.columns)}</tr></thead><tbody>${body}</tbody></table>`;
  }

  toText(): string {
    const numeric = this.numericColumns();
    const texts = this.texts();
    const widths = this.columns.map((name, i) =>
      Math.max(name.length, ...texts.map((row) => row[i]!.length)),
    );
    const line = (row: readonly string[]): string =>
      row
        .map((text, i) => (numeric[i] ? text.padStart(widths[i]!) : text.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd();
    const rule = widths.map((width) => '-'.repeat(width)).join('  ');
    return [...(this.caption ? [this.caption] : []), line(this.columns), rule, ...texts.map(line)].join('\n');
  }

  /** The table as a Plotly trace within a figure. */
  toTrace(place: Place): Trace {
    const align = this.numericColumns().map((numeric) => (numeric ? 'right' : 'left'));
    const texts = this.texts();
    const look = { line: { color: hairline, width: 1 }, align };
    return {
      type: 'table',
      domain: { x: [...place.x], y: [...place.y] },
      header: {
        ...look,
        values: this.columns.map((name) => `<b>${name}</b>`),
        fill: { color: wash },
        height: 26,
      },
      cells: {
        ...look,
        values: this.columns.map((_, i) => texts.map((row) => row[i]!)),
        fill: { color: clear },
        height: 24,
      },
    };
  }

  /** Columns of numbers, also of those written as text ("64 to 192", not "2026-11-25"), are aligned to the right. */
  private numericColumns(): boolean[] {
    const looksNumeric = (cell: Cell): boolean =>
      typeof cell === 'number' || /^-?\d+([.,]\d+)*(e[+-]?\d+)?(\s|%|$)/.test(String(cell ?? ''));
    const isEmpty = (cell: Cell): boolean =>
      cell === null || cell === undefined || cell === '' || cell === '-';
    return this.columns.map((_, i) => {
      const cells = this.rows.map((row) => row[i]).filter((cell) => !isEmpty(cell));
      return cells.length > 0 && cells.every(looksNumeric);
    });
  }

  private texts(): string[][] {
    const digits = this.columns.map((_, i) => {
      const fractions = this.rows.map((row) => row[i]).filter(isFraction);
      return Math.min(...fractions.map(digitsOf));
    });
    return this.rows.map((row) => row.map((cell, i) => cellText(cell, digits[i]!)));
  }
}

/** @param digits after the point of a whole number among fractions; infinite elsewhere */
function cellText(cell: Cell, digits: number): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell !== 'number') return String(cell);
  if (!Number.isFinite(cell)) return String(cell);
  if (Number.isInteger(cell)) return Number.isFinite(digits) ? cell.toFixed(digits) : String(cell);
  return isPlain(cell) ? cell.toFixed(digitsOf(cell)) : cell.toExponential(2);
}

function isFraction(cell: Cell): cell is number {
  return typeof cell === 'number' && !Number.isInteger(cell) && isPlain(cell);
}

/** Written without an exponent. */
function isPlain(value: number): boolean {
  return Math.abs(value) < 1e5 && Math.abs(value) >= 1e-3;
}

function digitsOf(fraction: number): number {
  const size = Math.abs(fraction);
  return size >= 100 ? 1 : size >= 10 ? 2 : 4;
}
