import { short } from '../base/encode';
import { Figure, type Layout, type Trace } from '../base/figure';
import { axisId, axisKey } from '../base/panels';
import { baseLayout, color, graphAxis, heading, ink } from '../base/theme';

/**
 * How often each code is used: on the left by its number, on the right sorted, beside even use. A steep fall on the
 * right means that few codes do the work. The codes beyond the end of a line are dead.
 *
 * @param counts uses of each code, by the name of what used them
 */
export function codesFigure(counts: Readonly<Record<string, ArrayLike<number>>>): Figure {
  const named = Object.entries(counts).map(([name, values]) => {
    const total = Array.from(values).reduce((sum, value) => sum + value, 0) || 1;
    return { name, shares: Array.from(values, (value) => (100 * value) / total) };
  });
  const data: Trace[] = [];
  named.forEach(({ name, shares }, i) => {
    const look = { name, legendgroup: name, marker: { color: color(i) } };
    data.push({
      ...look,
      type: 'bar',
      x: shares.map((_, code) => code),
      y: shares.map(short),
      xaxis: 'x',
      yaxis: 'y',
      opacity: named.length > 1 ? 0.75 : 1,
      hovertemplate: `code %{x}<br><b>%{y:.3f} %</b><extra>${name}</extra>`,
    });
    const sorted = shares.filter((share) => share > 0).sort((a, b) => b - a);
    data.push({
      ...look,
      showlegend: false,
      type: 'scatter',
      mode: 'lines',
      x: sorted.map((_, rank) => rank + 1),
      y: sorted.map(short),
      xaxis: 'x2',
      yaxis: 'y2',
      line: { color: color(i), width: 2 },
      hovertemplate: `the %{x}. most used<br><b>%{y:.3f} %</b><extra>${name}</extra>`,
    });
  });
  const size = Math.max(1, ...named.map(({ shares }) => shares.length));
  data.push({
    type: 'scatter',
    mode: 'lines',
    name: `even use of ${size}`,
    x: [1, size],
    y: [100 / size, 100 / size],
    xaxis: 'x2',
    yaxis: 'y2',
    line: { color: ink, width: 1.5, dash: 'dash' },
    hoverinfo: 'skip',
  });
  const axis = (panel: number, domain: readonly number[], title: string, more: Layout): Layout => ({
    [axisKey('x', panel)]: graphAxis(title, { domain, anchor: axisId('y', panel) }),
    [axisKey('y', panel)]: graphAxis('', { anchor: axisId('x', panel), nticks: 6, ...more }),
  });
  const title = 'use of the codes, % of all latents';
  const layout = Object.assign(
    baseLayout(title, 330),
    axis(1, [0, 0.46], 'code', { rangemode: 'tozero' }),
    axis(2, [0.54, 1], 'codes, the most used first', { type: 'log' }),
    {
      annotations: [heading('by number', 0.23, 1), heading('sorted, logarithmic', 0.77, 1)],
      barmode: 'overlay',
      bargap: 0,
      margin: { l: 48, r: 16, t: 66, b: 76 },
      legend: { orientation: 'h', x: 0, y: -0.24, yanchor: 'top' },
    },
  );
  const words = named.map(
    ({ name, shares }) =>
      `${name}: ${shares.filter((share) => share > 0).length} of ${shares.length} codes in use`,
  );
  return new Figure(data, layout, [title, ...words].join(' · '));
}
