import type { DistanceRow } from '../../fidelity/border-distance';
import { short } from '../base/encode';
import { Figure, type Layout, type Trace } from '../base/figure';
import { axisId, axisKey } from '../base/panels';
import { baseLayout, color, graphAxis, heading, layeredWidth } from '../base/theme';

const panels = [
  { key: 'psnr', label: 'PSNR, dB' },
  { key: 'ssim', label: 'SSIM' },
] as const;

/** PSNR and SSIM by the distance to the nearest patch border, one line for each window. A dip at 0 is what borders cost. */
export function distanceFigure(lines: Readonly<Record<string, readonly DistanceRow[]>>): Figure {
  const width = 0.46;
  const data: Trace[] = [];
  const axes: Layout[] = [];
  const annotations: Layout[] = [];
  const count = Object.keys(lines).length;
  panels.forEach(({ key, label }, i) => {
    const x0 = i * (1 - width);
    axes.push({
      [axisKey('x', i + 1)]: graphAxis('voxels to the nearest patch border', {
        domain: [x0, x0 + width],
        anchor: axisId('y', i + 1),
        dtick: 1,
      }),
      [axisKey('y', i + 1)]: graphAxis('', { anchor: axisId('x', i + 1), nticks: 6 }),
    });
    annotations.push(heading(label, x0 + width / 2, 1));
    Object.entries(lines).forEach(([name, rows], line) => {
      data.push({
        type: 'scatter',
        mode: 'lines+markers',
        name,
        legendgroup: name,
        showlegend: i === 0,
        x: rows.map(({ distance }) => distance),
        y: rows.map((row) => short(row[key])),
        xaxis: axisId('x', i + 1),
        yaxis: axisId('y', i + 1),
        line: { color: color(line), width: layeredWidth(line, count) },
        marker: { size: 5 },
        hovertemplate: `%{x} voxels from a border<br><b>%{y}</b><extra>${name}</extra>`,
      });
    });
  });
  const title = 'quality by the distance to the nearest patch border';
  const layout = Object.assign(baseLayout(title, 330), ...axes, {
    annotations,
    margin: { l: 48, r: 16, t: 66, b: 76 },
    legend: { orientation: 'h', x: 0, y: -0.24, yanchor: 'top' },
  });
  const words = Object.entries(lines).map(
    ([name, rows]) =>
      `${name} ${rows[0]?.psnr.toFixed(2)} dB at a border, ${rows.at(-1)?.psnr.toFixed(2)} dB far from it`,
  );
  return new Figure(data, layout, [title, ...words].join(' · '));
}
