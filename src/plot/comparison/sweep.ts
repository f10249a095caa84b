import { axesOf, type Layout, spans } from '../base/layout';
import { colorbar } from '../base/panels';
import type { ShownSweepRow } from '../base/shown';
import { clear, SMALL } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';

/** What a sweep's heat maps show. The colour of a seam energy is how far it is from 1; the number written is the energy. */
const maps = [
  { key: 'psnr', label: 'PSNR, dB', digits: 2, better: 'more' },
  { key: 'seamEnergy', label: 'seam energy', digits: 3, better: 'nearer to 1' },
] as const;

/** From less to more: even in lightness and for the colour-blind, and never so dark that dark words are hard to read. */
const light: readonly (readonly [number, string])[] = [
  [0, '#4aa3c0'],
  [0.5, '#7fd09b'],
  [1, '#fde725'],
];
const words = '#10202e';

/**
 * A sweep over overlaps and windows as heat maps of PSNR and seam energy: one row for each window, one column for each
 * overlap, yellow for better. The best cell is framed.
 */
export function sweepFigure(rows: readonly ShownSweepRow[]): Figure {
  const overlaps = [...new Set(rows.map(({ overlap }) => overlap))].sort((a, b) => a - b);
  const names = [...new Set(rows.map(({ name }) => name))];
  const shown = maps.filter(({ key }) => rows.some((row) => row[key] !== undefined));
  const drawing = new Drawing();
  const shapes: Layout[] = [];
  const gap = 0.13; // for the colour bars, one of them right of the last map
  const best = spans(shown.length, gap, 0, 1 - gap).map((x, i) => {
    const { key, label, digits, better } = shown[i]!;
    const isMore = better === 'more';
    const values = names.map((name) =>
      overlaps.map((overlap) => rows.find((row) => row.name === name && row.overlap === overlap)?.[key]),
    );
    const scale = isMore ? light : light.map(([at, c]): [number, string] => [1 - at, c]).reverse();
    const category = { type: 'category', showgrid: false };
    const axes = drawing.addGraph(
      i + 1,
      `${label} (${better} is better)`,
      { x },
      { ...category, title: 'overlap of neighbouring patches' },
      { ...category, ...(i === 0 ? { title: 'window' } : { showticklabels: false }) },
    );
    drawing.data.push({
      ...axes,
      type: 'heatmap',
      name: label,
      xgap: 1,
      ygap: 1,
      colorscale: scale,
      x: overlaps.map((overlap) => `${Number((100 * overlap).toFixed(1))} %`),
      y: names,
      z: values.map((row) => row.map((v) => (v === undefined ? null : isMore ? v : Math.abs(v - 1)))),
      text: values.map((row) => row.map((v) => v?.toFixed(digits) ?? '')),
      texttemplate: '%{text}',
      textfont: { size: SMALL, color: words },
      colorbar: colorbar(isMore ? '' : '|E - 1|', { x: x[1] + 0.005, len: 1 }),
      hovertemplate: `%{y}, overlap %{x}<br><b>%{text}</b><extra>${label}</extra>`,
    });
    const merit = (row: ShownSweepRow) => (isMore ? row[key]! : -Math.abs(row[key]! - 1));
    const [first] = rows.filter((row) => row[key] !== undefined).sort((a, b) => merit(b) - merit(a));
    shapes.push(frame(i + 1, overlaps.indexOf(first!.overlap), names.indexOf(first!.name)));
    return `best ${label}: ${first!.name} at overlap ${first!.overlap}, ${first![key]!.toFixed(digits)}`;
  });
  const title = 'blending windows by overlap; the best is framed';
  const look = { shapes, margin: { l: 100, r: 40, t: 70, b: 54 } };
  return drawing.figure(title, 120 + 34 * names.length, look, [title, ...best].join(' · '));
}

function frame(panel: number, column: number, row: number): Layout {
  const { xaxis, yaxis } = axesOf(panel);
  return {
    type: 'rect',
    xref: xaxis,
    yref: yaxis,
    fillcolor: clear,
    line: { color: '#d55e00', width: 3 },
    x0: column - 0.5,
    x1: column + 0.5,
    y0: row - 0.5,
    y1: row + 0.5,
  };
}
