import { baseLayout, graphAxis, heading } from './theme';

/** One Plotly trace as plain data: `type` and whatever Plotly's schema allows for it. */
export interface Trace {
  readonly type: string;
  readonly [attribute: string]: unknown;
}

/** A Plotly layout as plain data. */
export interface Layout {
  readonly [attribute: string]: unknown;
}

/**
 * A figure as plain data: what `Plotly.react(node, data, layout)` takes, and one line of text for where there is no
 * picture. It knows nothing of Plotly itself, so it can be made, stored and tested without a browser.
 */
export class Figure {
  constructor(
    readonly data: readonly Trace[],
    readonly layout: Layout,
    /** What the figure shows, in words. */
    readonly summary: string,
  ) {}

  toJSON(): { data: readonly Trace[]; layout: Layout } {
    return { data: this.data, layout: this.layout };
  }
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

/** The options of both axes of a panel, under the names that a layout has for them. */
export function axisOptions(panel: number, x: Layout, y: Layout): Layout {
  const { xaxis, yaxis } = axesOf(panel);
  return {
    [`xaxis${xaxis.slice(1)}`]: { anchor: yaxis, ...x },
    [`yaxis${yaxis.slice(1)}`]: { anchor: xaxis, ...y },
  };
}

/** A figure in the making: its traces, the axes of its panels and the headings above them. */
export class Drawing {
  readonly data: Trace[] = [];
  readonly annotations: Layout[] = [];
  readonly #axes: Layout[] = [];

  addAxes(axes: Layout): void {
    this.#axes.push(axes);
  }

  /** Adds the axes of a graph, which may have titles, and its heading, if any. Returns the names that its traces use for the axes. */
  addGraph(panel: number, title: string, place: Partial<Place>, x: Layout = {}, y: Layout = {}) {
    const axis = (domain: Span | undefined, { title: name = '', ...more }: Layout): Layout =>
      graphAxis(name as string, { ...(domain && { domain }), ...more });
    this.addAxes(axisOptions(panel, axis(place.x, x), axis(place.y, y)));
    if (title) this.annotations.push(heading(title, place.x ?? [0, 1], place.y?.[1] ?? 1));
    return axesOf(panel);
  }

  figure(title: string, height: number, more: Layout, summary = title): Figure {
    const { annotations } = this;
    const layout = Object.assign(baseLayout(title, height), ...this.#axes, { annotations, ...more });
    return new Figure(this.data, layout, summary);
  }
}

/** A line with a mark at every point. */
export function lineTrace(name: string, x: readonly unknown[], y: readonly unknown[], more: Layout): Trace {
  return { type: 'scatter', mode: 'lines+markers', name, x, y, ...more };
}
