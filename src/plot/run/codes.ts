import { short } from '../base/encode';
import { lineTrace, spans } from '../base/layout';
import { color, ink, legendAbove } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';

/** Only powers of ten: Plotly writes the marks between them smaller than a reader can see. */
const LOG = { type: 'log', dtick: 1 } as const;

/**
 * How often each code is used: on the left by its number, on the right sorted, beside even use. A steep fall on the
 * right means that few codes do the work. The codes beyond the end of a line are dead.
 *
 * @param counts uses of each code, by the name of what used them
 */
export function codesFigure(counts: Readonly<Record<string, ArrayLike<number>>>): Figure {
  const named = Object.entries(counts).map(([name, values]) => {
    const total = Array.from(values).reduce((sum, value) => sum + value, 0) || 1;
    const shares = Array.from(values, (value) => (100 * value) / total);
    return { name, shares, used: shares.filter((share) => share > 0).sort((a, b) => b - a) };
  });
  const drawing = new Drawing();
  const [left, right] = spans(2, 0.08) as [readonly [number, number], readonly [number, number]];
  const y = { title: '% of all latents', nticks: 6 };
  const byNumber = drawing.addGraph(
    1,
    'by number',
    { x: left },
    { title: 'code' },
    { ...y, rangemode: 'tozero' },
  );
  const xSorted = { title: 'codes, the most used first' };
  const sorted = drawing.addGraph(2, 'sorted, logarithmic', { x: right }, xSorted, { ...y, ...LOG });
  const lines = { ...sorted, mode: 'lines' };
  named.forEach(({ name, shares, used }, i) => {
    const look = { legendgroup: name, marker: { color: color(i) } };
    drawing.data.push(
      {
        ...look,
        ...byNumber,
        name,
        type: 'bar',
        opacity: named.length > 1 ? 0.75 : 1,
        x: shares.map((_, code) => code),
        y: shares.map(short),
        hovertemplate: `code %{x}<br><b>%{y:.3f} %</b><extra>${name}</extra>`,
      },
      lineTrace(
        name,
        used.map((_, rank) => rank + 1),
        used.map(short),
        {
          ...look,
          ...lines,
          showlegend: false,
          line: { color: color(i), width: 2 },
          hovertemplate: `the %{x}. most used<br><b>%{y:.3f} %</b><extra>${name}</extra>`,
        },
      ),
    );
  });
  const size = Math.max(1, ...named.map(({ shares }) => shares.length));
  const line = { color: ink, width: 1.5, dash: 'dash' };
  const even = [100 / size, 100 / size];
  drawing.data.push(lineTrace(`even use of ${size}`, [1, size], even, { ...lines, line, hoverinfo: 'skip' }));
  const title = 'how often each code is used';
  const words = named.map(
    ({ name, shares, used }) => `${name}: ${used.length} of ${shares.length} codes in use`,
  );
  const [height, t, b] = [320, 84, 48];
  const margin = { l: 56, r: 16, t, b };
  const look = { barmode: 'overlay', bargap: 0, margin, legend: legendAbove(height - t - b) };
  return drawing.figure(title, height, look, [title, ...words].join(' · '));
}
