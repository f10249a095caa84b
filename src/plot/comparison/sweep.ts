import { Figure, type Layout, type Trace } from '../base/figure';
import { axisId, axisKey, barLook } from '../base/panels';
import type { ShownSweepRow } from '../base/shown';
import { baseLayout, graphAxis, heading, ink, viridis } from '../base/theme';

/** What a sweep's heat maps show. */
const maps = [
  { key: 'psnr', label: 'PSNR, dB', digits: 2, better: 'more' },
  { key: 'seamEnergy', label: 'seam energy', digits: 3, better: 'nearer to 1' },
] as const;

/**
 * A sweep over overlaps and windows as heat maps of PSNR and seam energy: one row for each window, one column for each
 * overlap, yellow for better. The best cell is framed.
 */
export function sweepFigure(rows: readonly ShownSweepRow[]): Figure {
  const overlaps = [...new Set(rows.map(({ overlap }) => overlap))].sort((a, b) => a - b);
  const names = [...new Set(rows.map(({ name }) => name))];
  const shown = maps.filter(({ key }) => rows.some((row) => row[key] !== undefined));
  const [left, gap] = [0, 0.13];
  const width = (1 - left - gap * shown.length) / shown.length;
  const data: Trace[] = [];
  const axes: Layout[] = [];
  const annotations: Layout[] = [];
  const shapes: Layout[] = [];
  shown.forEach(({ key, label, digits, better }, i) => {
    const value = (name: string, overlap: number) =>
      rows.find((row) => row.name === name && row.overlap === overlap)?.[key] ?? null;
    const values = names.map((name) => overlaps.map((overlap) => value(name, overlap)));
    // The colour of a seam energy is how far it is from 1; the number written is the energy.
    const z = values.map((row) => row.map((v) => (v === null || better === 'more' ? v : Math.abs(v - 1))));
    const x0 = left + i * (width + gap);
    data.push({
      type: 'heatmap',
      name: label,
      x: overlaps.map((overlap) => `${Math.round(100 * overlap)} %`),
      y: names,
      z,
      text: values.map((row) => row.map((v) => v?.toFixed(digits) ?? '')),
      texttemplate: '%{text}',
      textfont: { size: 11 },
      xaxis: axisId('x', i + 1),
      yaxis: axisId('y', i + 1),
      colorscale:
        better === 'more' ? viridis : viridis.map(([at, c]): [number, string] => [1 - at, c]).reverse(),
      colorbar: { ...barLook(better === 'more' ? '' : '|E - 1|'), x: x0 + width + 0.005, len: 1 },
      xgap: 1,
      ygap: 1,
      hovertemplate: `%{y}, overlap %{x}<br><b>%{text}</b><extra>${label}</extra>`,
    });
    axes.push({
      [axisKey('x', i + 1)]: graphAxis('overlap of neighbouring patches', {
        domain: [x0, x0 + width],
        anchor: axisId('y', i + 1),
        type: 'category',
        showgrid: false,
      }),
      [axisKey('y', i + 1)]: graphAxis('', {
        anchor: axisId('x', i + 1),
        type: 'category',
        showgrid: false,
        ...(i > 0 ? { showticklabels: false } : {}),
      }),
    });
    annotations.push(heading(`${label} (${better} is better)`, x0 + width / 2, 1));
    const best = bestCell(z, better);
    if (best) shapes.push(frame(i + 1, best));
  });
  const title = 'blending windows by overlap; the best is framed';
  const layout = Object.assign(baseLayout(title, 120 + 34 * names.length), ...axes, {
    annotations,
    shapes,
    margin: { l: 100, r: 40, t: 70, b: 54 },
  });
  const best = shown.map(({ key, label, better }) => {
    const cells = rows.filter((row) => row[key] !== undefined);
    const merit = (row: ShownSweepRow) => (better === 'more' ? row[key]! : -Math.abs(row[key]! - 1));
    const sorted = [...cells].sort((a, b) => merit(b) - merit(a));
    return `best ${label}: ${sorted[0]!.name} at overlap ${sorted[0]!.overlap}, ${sorted[0]![key]!.toPrecision(4)}`;
  });
  return new Figure(data, layout, [title, ...best].join(' · '));
}

function bestCell(z: readonly (readonly (number | null)[])[], better: 'more' | 'nearer to 1') {
  let best: { row: number; column: number; value: number } | undefined;
  z.forEach((cells, row) => {
    cells.forEach((value, column) => {
      if (value === null) return;
      const wins = !best || (better === 'more' ? value > best.value : value < best.value);
      if (wins) best = { row, column, value };
    });
  });
  return best;
}

function frame(panel: number, { row, column }: { row: number; column: number }): Layout {
  return {
    type: 'rect',
    xref: axisId('x', panel),
    yref: axisId('y', panel),
    x0: column - 0.5,
    x1: column + 0.5,
    y0: row - 0.5,
    y1: row + 0.5,
    line: { color: '#d55e00', width: 3 },
    fillcolor: 'rgba(0,0,0,0)',
    label: { text: '', font: { color: ink } },
  };
}
