import type { Layout, PlainFigure, Trace } from '../base/layout';

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

  toJSON(): PlainFigure {
    return { data: this.data, layout: this.layout };
  }
}
