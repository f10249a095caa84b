/**
 * What a reader chooses by the buttons of a figure. Plotly keeps a zoom over the figures that replace one another, but no
 * button: here the choice is kept with the node, and made again in each figure that comes.
 */
import type { PlotlyFigure } from './plotly';

interface Button {
  readonly label: string;
  readonly method: string;
  readonly args: readonly unknown[];
}
interface Menu {
  /** What is chosen; each button of a row is a menu of its own with the same name. */
  readonly name?: string;
  readonly buttons?: readonly Button[];
}
type PlotNode = HTMLElement & {
  on?(event: 'plotly_buttonclicked', listen: (click: { menu: Menu; button: Button }) => void): void;
};

/** The labels that were clicked, by node and by name. */
const chosen = new WeakMap<HTMLElement, Map<string, string>>();

/** The figure as the reader has chosen it. Objects within its layout, and its traces, are changed in their place. */
export function withChoices(node: HTMLElement, figure: PlotlyFigure): PlotlyFigure {
  const choices = chosen.get(node);
  if (!choices || choices.size === 0) return figure;
  const layout: Record<string, unknown> = { ...figure.layout };
  for (const { name, buttons } of (layout.updatemenus ?? []) as readonly Menu[]) {
    const button = buttons?.find(({ label }) => name !== undefined && choices.get(name) === label);
    if (!button) continue;
    const [first = {}, second = {}, traces = []] = button.args as [object?, object?, number[]?];
    const isUpdate = button.method === 'update';
    for (const [path, value] of Object.entries(isUpdate ? second : first)) setAt(layout, path, value);
    const { visible } = first as { visible?: unknown[] };
    if (isUpdate && visible)
      for (const [at, trace] of traces.entries())
        Object.assign(figure.data[trace] ?? {}, { visible: visible[at] });
  }
  return { data: figure.data, layout };
}

/** Remembers the reader's clicks on a node that Plotly has drawn into. @param onHeight told of a height that a button sets */
export function keepChoices(node: PlotNode, onHeight: (height: number) => void): void {
  if (chosen.has(node) || !node.on) return;
  const choices = new Map<string, string>();
  chosen.set(node, choices);
  node.on('plotly_buttonclicked', ({ menu, button }) => {
    if (menu.name !== undefined) choices.set(menu.name, button.label);
    for (const changes of button.args as readonly ({ height?: unknown } | null)[])
      if (typeof changes?.height === 'number') onHeight(changes.height);
  });
}

/** @param path as Plotly writes it: `annotations[2].x` */
function setAt(target: object, path: string, value: unknown): void {
  const keys = path.match(/[^.[\]]+/g) ?? [];
  const last = keys.pop();
  let place = target as Record<string, unknown>;
  for (const key of keys) {
    const next = Object.hasOwn(place, key) ? place[key] : undefined;
    if (typeof next !== 'object' || next === null) return; // the new figure has no such thing
    place = next as Record<string, unknown>;
  }
  if (last !== undefined && last !== '__proto__') place[last] = value;
}
