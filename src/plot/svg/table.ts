import type { Trace } from '../base/figure';
import type { Box } from './axes';
import { element, plainText, text } from './elements';

interface Part {
  readonly values?: readonly unknown[];
  readonly align?: string | readonly string[];
  readonly height?: number;
}

/** A table trace; rows that do not fit its domain are cut off, as Plotly scrolls them. */
export function tableSvg(trace: Trace, paper: Box): string {
  const domain = { x: [0, 1], y: [0, 1], ...(trace.domain as object) } as {
    x: [number, number];
    y: [number, number];
  };
  const left = paper.left + domain.x[0] * paper.width;
  const width = (domain.x[1] - domain.x[0]) * paper.width;
  const top = paper.top + (1 - domain.y[1]) * paper.height;
  const room = (domain.y[1] - domain.y[0]) * paper.height;
  const header = (trace.header ?? {}) as Part;
  const cells = (trace.cells ?? {}) as Part;
  const heads = (header.values ?? []).map((value) => plainText(Array.isArray(value) ? value[0] : value));
  const columns = (cells.values ?? []) as readonly (readonly unknown[])[];
  const column = width / Math.max(1, heads.length);
  const rowHeight = cells.height ?? 24;
  const headHeight = header.height ?? 26;
  const rows = Math.min(columns[0]?.length ?? 0, Math.floor((room - headHeight) / rowHeight + 0.5));

  const cell = (label: string, i: number, y: number, height: number, weight?: number): string => {
    const right = (Array.isArray(cells.align) ? cells.align[i] : cells.align) === 'right';
    const x = left + i * column + (right ? column - 8 : 8);
    return text(label, x, y + height / 2 + 4, {
      'text-anchor': right ? 'end' : 'start',
      'font-weight': weight,
    });
  };
  const rule = (y: number): string =>
    element('line', {
      x1: left,
      x2: left + width,
      y1: y,
      y2: y,
      stroke: 'rgba(128,136,148,0.28)',
      'stroke-width': 1,
    });
  const parts = [
    element('rect', { x: left, y: top, width, height: headHeight, fill: 'rgba(128,136,148,0.14)' }),
    ...heads.map((label, i) => cell(label, i, top, headHeight, 600)),
  ];
  for (let row = 0; row < rows; row++) {
    const y = top + headHeight + row * rowHeight;
    parts.push(
      ...columns.map((values, i) => cell(plainText(values[row]), i, y, rowHeight)),
      rule(y + rowHeight),
    );
  }
  return parts.join('');
}
