import type { DistanceRow } from '../../fidelity/places';
import { short } from '../base/encode';
import { lineTrace, spans } from '../base/layout';
import { color, layeredWidth, legendAbove } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';

const panels = [
  { key: 'psnr', label: 'PSNR, dB' },
  { key: 'ssim', label: 'SSIM' },
] as const;

/** PSNR and SSIM by the distance to the nearest patch border, one line for each window. A dip at 0 is what borders cost. */
export function distanceFigure(lines: Readonly<Record<string, readonly DistanceRow[]>>): Figure {
  const drawing = new Drawing();
  const named = Object.entries(lines);
  spans(panels.length, 0.08).forEach((x, i) => {
    const { key, label } = panels[i]!;
    const xAxis = { title: 'voxels to the nearest patch border', dtick: 1 };
    const axes = drawing.addGraph(i + 1, label, { x }, xAxis, { nticks: 6 });
    named.forEach(([name, rows], line) => {
      const distances = rows.map(({ distance }) => distance);
      const values = rows.map((row) => short(row[key]));
      drawing.data.push(
        lineTrace(name, distances, values, {
          ...axes,
          legendgroup: name,
          showlegend: i === 0,
          marker: { size: 5 },
          line: { color: color(line), width: layeredWidth(line, named.length) },
          hovertemplate: `%{x} voxels from a border<br><b>%{y}</b><extra>${name}</extra>`,
        }),
      );
    });
  });
  const title = 'quality by the distance to the nearest patch border';
  const words = named.map(
    ([name, rows]) =>
      `${name} ${rows[0]?.psnr.toFixed(2)} dB at a border, ${rows.at(-1)?.psnr.toFixed(2)} dB far from it`,
  );
  const [height, t, b] = [320, 84, 48];
  const look = { margin: { l: 48, r: 16, t, b }, legend: legendAbove(height - t - b) };
  return drawing.figure(title, height, look, [title, ...words].join(' · '));
}
