import { describe, expect, it } from 'vitest';
import { Table } from '../../../src/plot/base/table';

const table = new Table({
  columns: ['candidate', 'PSNR, dB', 'note'],
  rows: [
    ['<linear>', 31.23456, null],
    ['gaussian', 9, 'a & b'],
  ],
});

describe('Table', () => {
  it('writes an infinite number as a sign, in a column of numbers', () => {
    const columns = ['candidate', 'PSNR, dB'];
    for (const [infinite, finite] of [
      [Number.POSITIVE_INFINITY, 31.2],
      ['∞', '31.20'],
    ] as const) {
      const rows = [
        ['same', infinite],
        ['linear', finite],
      ];
      expect(new Table({ columns, rows }).toText().split('\n').slice(2)).toEqual([
        'same              ∞',
        'linear        31.20',
      ]);
    }
  });

  it('prints aligned text', () => {
    expect(table.toText().split('\n')).toEqual([
      'candidate  PSNR, dB  note',
      '---------  --------  -----',
      '<linear>      31.23',
      'gaussian       9.00  a & b',
    ]);
  });

  it('escapes its HTML and aligns numbers to the right', () => {
    const html = table.toHtml();
    expect(html).toContain('<td style="text-align:left">&#60;linear&#62;</td>');
    expect(html).toContain('<td style="text-align:right">31.23</td>');
    expect(html).toContain('a &#38; b');
  });

  it('refuses ragged rows', () => {
    expect(() => new Table({ columns: ['a', 'b'], rows: [[1]] })).toThrow(/rows\[0\]: expected 2 cells/);
  });
});
