import { InvalidArgument } from '../../errors';
import { escapeHtml, onOneLine } from '../../escape';
import type { Place, Trace } from './layout';
import { clear, hairline, wash } from './theme';

export type Cell = string | number | boolean | null | undefined;

interface TableInit {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly caption?: string;
}

/** A small table that shows itself: as HTML in a notebook, as aligned text in a terminal, as a trace in a figure. */
export class Table {
  readonly columns: TableInit['columns'];
  readonly rows: TableInit['rows'];
  readonly caption: string | undefined;

  /** @throws InvalidArgument if a row does not have one cell for each column */
  constructor({ columns, rows, caption }: TableInit) {
    const ragged = rows.findIndex((row) => row.length !== columns.length);
    if (ragged >= 0)
      throw new InvalidArgument(`rows[${ragged}]`, `${columns.length} cells`, rows[ragged]!.length);
    this.columns = columns;
    this.rows = rows;
    this.caption = caption;
  }

  toHtml(): string {
    const align = this.alignment();
    const line = (tag: string, row: readonly string[]): string => {
      const cells = row.map(
        (text, i) => `<${tag} style="text-align:${align[i]}${wrapping(text)}">${escapeHtml(text)}</${tag}>`,
      );
      return `<tr>${cells.join('')}</tr>`;
    };
    const caption = this.caption ? `<caption>${escapeHtml(this.caption)}</caption>` : '';
    const body = this.texts().map((row) => line('td', row));
    return `<table>${caption}<thead>${line('th', this.columns)}</thead><tbody>${body.join('')}</tbody></table>`;
  }

  toText(): string {
    const align = this.alignment();
    const texts = this.texts();
    const widths = this.columns.map((name, i) =>
      Math.max(name.length, ...texts.map((row) => row[i]!.length)),
    );
    const line = (row: readonly string[]): string => {
      const padded = row.map((text, i) =>
        align[i] === 'right' ? text.padStart(widths[i]!) : text.padEnd(widths[i]!),
      );
      return padded.join('  ').trimEnd();
    };
    const rule = widths.map((width) => '-'.repeat(width)).join('  ');
    return [
      ...(this.caption ? [onOneLine(this.caption)] : []),
      line(this.columns),
      rule,
      ...texts.map(line),
    ].join('\n');
  }

  /** The table as a Plotly trace within a figure. */
  toTrace(place: Place): Trace {
    const texts = this.texts();
    const look = { line: { color: hairline, width: 1 }, align: this.alignment() };
    const heads = this.columns.map((name) => `<b>${name}</b>`);
    const cells = this.columns.map((_, i) => texts.map((row) => row[i]!));
    return {
      type: 'table',
      domain: place,
      header: { ...look, values: heads, fill: { color: wash }, height: 26 },
      cells: { ...look, values: cells, fill: { color: clear }, height: 24 },
    };
  }

  /**
   * Columns of numbers, also of those written as text ("64 to 192", "+0.5 [0.4, 0.6]"), are aligned to the right. A date
   * is no number, nor is a sentence that begins with one.
   */
  private alignment(): ('left' | 'right')[] {
    const written = /^([+-]?\d+([.,]\d+)*(e[+-]?\d+)?|∞)(\s|%|$)/;
    const looksNumeric = (cell: Cell): boolean =>
      typeof cell === 'number' || (written.test(String(cell)) && String(cell).split(' ').length <= 4);
    return this.columns.map((_, i) => {
      const cells = this.rows.map((row) => row[i] ?? '').filter((cell) => cell !== '' && cell !== '-');
      return cells.length > 0 && cells.every(looksNumeric) ? 'right' : 'left';
    });
  }

  private texts(): string[][] {
    const digits = this.columns.map((_, i) =>
      Math.min(
        ...this.rows
          .map((row) => row[i])
          .filter(isFraction)
          .map(digitsOf),
      ),
    );
    return this.rows.map((row) => row.map((cell, i) => cellText(cell, digits[i]!)));
  }
}

/** A long path breaks anywhere, so that it does not push the other columns out of sight; sizes and ranges do not break. */
function wrapping(text: string): string {
  if (/^-?[\d.]+(?: (?:x|to) -?[\d.]+)+$/.test(text)) return ';white-space:nowrap';
  return /\S{41}/.test(text) ? ';min-width:16em;max-width:32em;overflow-wrap:anywhere' : '';
}

/** @param digits after the point of a whole number among fractions; infinite elsewhere */
function cellText(cell: Cell, digits: number): string {
  if (cell === null || cell === undefined) return '';
  if (cell === Number.POSITIVE_INFINITY) return '∞';
  if (typeof cell !== 'number' || !Number.isFinite(cell)) return onOneLine(String(cell));
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
