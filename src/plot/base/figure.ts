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
