/** One Plotly trace as plain data: `type` and whatever Plotly's schema allows for it. */
export interface Trace {
  readonly type: string;
  readonly [attribute: string]: unknown;
}

/** A Plotly layout as plain data. */
export interface Layout {
  readonly [attribute: string]: unknown;
}

/** A figure as plain data: what `Plotly.react(node, data, layout)` takes. */
export interface PlainFigure {
  readonly data: readonly Trace[];
  readonly layout: Layout;
}

/** A stretch of the paper, in paper coordinates (0 to 1, y upwards). */
export type Span = readonly [from: number, to: number];

/** A part of the paper. */
export interface Place {
  readonly x: Span;
  readonly y: Span;
}

/** `count` equally wide spans between `from` and `to`, `gap` apart. */
export function spans(count: number, gap: number, from = 0, to = 1): Span[] {
  const width = (to - from - gap * (count - 1)) / count;
  const start = (i: number): number => from + i * (width + gap);
  return Array.from({ length: count }, (_, i) => [start(i), start(i) + width]);
}

/** The axes of a panel, as a trace names them. The first axes, `x` and `y`, have no number. */
export function axesOf(panel: number): { readonly xaxis: string; readonly yaxis: string } {
  const number = panel === 1 ? '' : panel;
  return { xaxis: `x${number}`, yaxis: `y${number}` };
}

/** The names that a layout has for the axes of a panel. */
export function axisKeys(panel: number): { readonly x: string; readonly y: string } {
  const number = panel === 1 ? '' : panel;
  return { x: `xaxis${number}`, y: `yaxis${number}` };
}

/** The options of both axes of a panel, under the names that a layout has for them. */
export function axisOptions(panel: number, x: Layout, y: Layout): Layout {
  const [{ xaxis, yaxis }, keys] = [axesOf(panel), axisKeys(panel)];
  return { [keys.x]: { anchor: yaxis, ...x }, [keys.y]: { anchor: xaxis, ...y } };
}

/** A line with a mark at every point. */
export function lineTrace(name: string, x: readonly unknown[], y: readonly unknown[], more: Layout): Trace {
  return { type: 'scatter', mode: 'lines+markers', name, x, y, ...more };
}
