import type { Layout, Span } from './layout';

/**
 * Okabe and Ito's colours without black and yellow, the blue a little lighter: the colour-blind can tell them apart, on
 * light and on dark paper.
 */
export const palette = ['#1a7fc1', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'] as const;

/** A grey with the same contrast (4.3 : 1) on white and on JupyterLab's dark #111. */
export const ink = '#767f8c';
/** Pixels of the words in a figure, and of those at its axes and in its legends. Nothing is smaller. */
export const TEXT = 12;
export const SMALL = 11;
export const hairline = 'rgba(128,136,148,0.28)';
/** Behind buttons and table heads: visible on both papers, and hides nothing. */
export const wash = 'rgba(128,136,148,0.14)';
export const clear = 'rgba(0,0,0,0)';

export const grays: readonly (readonly [number, string])[] = [
  [0, '#000000'],
  [1, '#ffffff'],
];

/** From dark to light for less to more, even in steps of lightness and for the colour-blind. */
export const viridis: readonly (readonly [number, string])[] = [
  [0, '#440154'],
  [0.25, '#3b528b'],
  [0.5, '#21918c'],
  [0.75, '#5ec962'],
  [1, '#fde725'],
];

/** Blue for less, red for more, white for the same: ColorBrewer's RdBu, safe for the colour-blind. */
export const diverging: readonly (readonly [number, string])[] = [
  [0, '#053061'],
  [0.25, '#4393c3'],
  [0.45, '#d1e5f0'],
  [0.5, '#f7f7f7'],
  [0.55, '#fddbc7'],
  [0.75, '#d6604d'],
  [1, '#67001f'],
];

export function color(index: number): string {
  return palette[index % palette.length]!;
}

/** The width of line `index` of `count` that may overlap. The first drawn is the widest, so all can be seen. */
export function layeredWidth(index: number, count: number): number {
  return 1.75 + Math.min(1.25 * (count - 1 - index), 5);
}

/** The layout every figure starts from: transparent paper, quiet lines, zoom kept over updates (`uirevision`). */
export function baseLayout(title: string, height: number): Layout {
  return {
    title: {
      text: title,
      font: { size: 15 },
      pad: { t: 14 },
      x: 0,
      xref: 'paper',
      xanchor: 'left',
      y: 1,
      yref: 'container',
      yanchor: 'top',
    },
    height,
    paper_bgcolor: clear,
    plot_bgcolor: clear,
    font: { family: 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif', size: TEXT, color: ink },
    margin: { l: 56, r: 24, t: 56, b: 44 },
    hovermode: 'closest',
    uirevision: 'keep',
    // Plotly would offer to upload the figure to its maker's server: not a patient's CT.
    modebar: {
      bgcolor: clear,
      color: ink,
      activecolor: palette[0],
      remove: ['sendChartToCloud', 'select2d', 'lasso2d'],
    },
  };
}

/** An axis of a graph: light grid, no frame. A logarithmic one names 1, 2 and 5 of each power of ten. */
export function graphAxis(title: string, more: Layout = {}): Layout {
  return {
    ...(more.type === 'log' && more.dtick === undefined && logarithmicMarks([1, 2, 5])),
    title: { text: title, standoff: 6, font: { size: SMALL } },
    gridcolor: hairline,
    zerolinecolor: hairline,
    linecolor: hairline,
    tickfont: { size: SMALL },
    automargin: true,
    ...more,
  };
}

/** Marks of a logarithmic axis, written in full: Plotly writes small digits between the powers of ten. */
export function logarithmicMarks(digits: readonly number[]): Layout {
  const powers = Array.from({ length: 16 }, (_, i) => i - 8);
  const tickvals = powers.flatMap((power) => digits.map((digit) => digit * 10 ** power));
  return {
    tickmode: 'array',
    tickvals,
    ticktext: tickvals.map((mark) => String(Number(mark.toPrecision(1)))),
  };
}

/**
 * A legend that panels share, in a row above them, over the row of their headings.
 *
 * @param paper pixels of the figure's height without its margins
 * @param top where the panels end
 */
export function legendAbove(paper: number, top = 1): Layout {
  const look = {
    orientation: 'h',
    xanchor: 'right',
    yanchor: 'bottom',
    font: { size: SMALL },
    bgcolor: clear,
  };
  return { ...look, x: 1, y: top + LEGEND_ABOVE / paper };
}

/** Pixels between panels and the legend above them: a row of headings. */
const LEGEND_ABOVE = 18;

/** A heading above a panel: in the middle of a span, or from a point on. */
export function heading(text: string, x: Span | number, y: number): Layout {
  const isPoint = typeof x === 'number';
  const place = {
    x: isPoint ? x : (x[0] + x[1]) / 2,
    y,
    xref: 'paper',
    yref: 'paper',
    xanchor: isPoint ? 'left' : 'center',
    yanchor: 'bottom',
  };
  return { text, ...place, showarrow: false, font: { size: TEXT } };
}
