import { InvalidArgument } from '../../errors';
import type { Layout } from '../base/layout';

/** A window of the grey pictures: the name on one of the figure's buttons, or two values in the volume's units. */
export type ChosenWindow = string | readonly [low: number, high: number];

interface Menu {
  readonly buttons?: readonly { readonly label?: string; readonly args?: readonly Layout[] }[];
}

/** The layout with another window than the one it shows at first. @throws InvalidArgument if the figure has no such window */
export function inWindow(layout: Layout, chosen: ChosenWindow): Layout {
  const [cmin, cmax] = typeof chosen === 'string' ? limitsOf(layout, chosen) : chosen;
  if (!layout.coloraxis) throw new InvalidArgument('window', 'a figure of a volume, or no window', chosen);
  if (!Number.isFinite(cmin) || !Number.isFinite(cmax) || !(cmin! < cmax!))
    throw new InvalidArgument('window', 'the name of a window or [low, high] with low below high', chosen);
  return { ...layout, coloraxis: { ...layout.coloraxis, cmin, cmax } };
}

/** What the button of this name sets. */
function limitsOf(layout: Layout, name: string): readonly unknown[] {
  const menus = (layout.updatemenus ?? []) as readonly Menu[];
  const windows = new Map(
    menus
      .flatMap(({ buttons = [] }) => buttons)
      .map(
        ({ label, args }) => [label, [args?.[0]?.['coloraxis.cmin'], args?.[0]?.['coloraxis.cmax']]] as const,
      )
      .filter(([, limits]) => limits.every((limit) => typeof limit === 'number')),
  );
  const limits = windows.get(name);
  if (!limits) throw new InvalidArgument('window', 'a window of this figure', name, [...windows.keys()]);
  return limits;
}
