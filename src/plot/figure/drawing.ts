import { axesOf, axisOptions, type Layout, type Place, type Span, type Trace } from '../base/layout';
import { baseLayout, graphAxis, heading } from '../base/theme';
import { Figure } from './figure';

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

  figure(
    title: string,
    height: number,
    more: Layout,
    summary = title,
    everyVoxel?: () => readonly Trace[],
  ): Figure {
    const { annotations } = this;
    const layout = Object.assign(baseLayout(title, height), ...this.#axes, { annotations, ...more });
    return new Figure(this.data, layout, summary, everyVoxel);
  }
}
