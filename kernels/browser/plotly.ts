/** Draws figures with Plotly into nodes of any page. */
import { keepChoices, withChoices } from './choices';
import { loadedOnce } from './script';

/** What Plotly draws. */
export interface PlotlyFigure {
  readonly data: readonly Trace[];
  readonly layout: Readonly<Record<string, unknown>> & { readonly height?: number; readonly font?: object };
}

export interface Trace extends Record<string, unknown> {
  readonly uid?: string;
  readonly x?: readonly unknown[];
  readonly y?: readonly unknown[];
}

interface Axis {
  readonly title?: string | { readonly text?: string } | null;
  readonly type?: string;
}

/** The functions of Plotly that are called here. */
export interface Plotly {
  react(node: HTMLElement, data: readonly Trace[], layout: object, config: object): Promise<unknown>;
  purge(node: HTMLElement): void;
  readonly Plots: { resize(node: HTMLElement): void };
}

// Nothing leaves this machine: without the last two Plotly offers to upload the figure to its maker's server.
const CONFIG = { responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: '' };
const DEFAULT_HEIGHT = 450;
/** A height from a file may be any number. */
const MOST_HEIGHT = 10_000;

/** Draws a figure in a colour that suits the page. */
export async function drawFigure(
  plotly: Plotly,
  node: HTMLElement,
  figure: PlotlyFigure,
  ink: string,
): Promise<void> {
  const { data, layout } = withChoices(node, figure);
  const height = reserveHeight(node, layout);
  const themed = { ...layout, ...keptAxes(layout), height, font: { ...layout.font, color: ink } };
  await plotly.react(node, data, themed, CONFIG);
  keepChoices(node, (chosen) => reserveHeight(node, { height: chosen }));
}

/** The axes, so that a zoom stays in the figure that takes this one's place, if the axis measures the same there. */
function keptAxes(layout: PlotlyFigure['layout']): Record<string, object> {
  const axes = Object.entries(layout).filter(
    (entry): entry is [string, Axis] =>
      /^[xy]axis\d*$/.test(entry[0]) && typeof entry[1] === 'object' && entry[1] !== null,
  );
  return Object.fromEntries(
    axes.map(([name, axis]) => {
      const title = typeof axis.title === 'object' ? axis.title?.text : axis.title;
      return [name, { uirevision: `${axis.type ?? ''} ${title ?? ''}`, ...axis }];
    }),
  );
}

/** Gives the node the figure's height: Plotly forgets that of the layout when it resizes, and takes the node's. */
export function reserveHeight(node: HTMLElement, layout: PlotlyFigure['layout']): number {
  const { height } = layout;
  const reserved = Math.min(height !== undefined && height > 0 ? height : DEFAULT_HEIGHT, MOST_HEIGHT);
  node.style.height = `${reserved}px`;
  return reserved;
}

/** A function that loads Plotly once from an address; another's `window.Plotly` stays what it was. */
export function plotlyLoader(address: string): () => Promise<Plotly> {
  const page = window as unknown as { Plotly: Plotly | undefined; define: unknown };
  return loadedOnce(address, () => {
    const before = { Plotly: page.Plotly, define: page.define };
    page.define = undefined; // with an AMD loader on the page Plotly would register there instead
    return () => {
      page.define = before.define;
      const ours = page.Plotly!;
      if (before.Plotly) page.Plotly = before.Plotly;
      return ours;
    };
  });
}
