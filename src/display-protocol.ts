/**
 * How values show themselves in a notebook, and how code in cells reaches its kernel. Both use registered symbols,
 * because a notebook may load another copy of this package than the kernel did.
 */

import type { Control, ControlValues } from './controls/controls';
import type { WidgetState } from './controls/widget-bundle';
import type { HeldVolume } from './volumes-bundle';

/** The representations of a value by MIME type, as in Jupyter's `display_data`. */
export type MimeBundle = Record<string, unknown>;

/** The method by which any object shows itself in Jupyter (deno's convention). */
export const SHOWS_ITSELF: unique symbol = Symbol.for('Jupyter.display');

/** The method by which an object shows itself by a display of its own, which it replaces later. */
export const SHOWS_LIVE: unique symbol = Symbol.for('patchwise.showLive');

export interface DisplayOptions {
  /** A later display with the same id replaces this one in place. */
  readonly id?: string;
}

/** Controls whose values a function answers. */
export interface Answered {
  readonly controls: readonly Control[];
  readonly start: ControlValues;
  answer(values: ControlValues, context: { readonly signal: AbortSignal }): unknown;
}

/** Controls that a kernel shows. */
export interface ShownControls {
  readonly values: ControlValues;
  show(options?: DisplayOptions): Promise<void>;
}

/** A widget of a user's own, as its kernel sees it. */
export interface SharedWidget {
  readonly esm: string;
  readonly css: string;
  /** All values as they are now. */
  readonly state: WidgetState;
  /** A page has changed these values. */
  change(values: WidgetState): void;
  /** The widget's code on a page has sent this. May take a while, for the answer to a command. */
  receive(content: unknown, buffers: readonly Uint8Array[]): void | Promise<void>;
}

/** What a kernel does for a widget. */
export interface ShownWidget {
  /** Tells all pages of values that have changed. */
  update(values: WidgetState): void;
  send(content: unknown, buffers: readonly Uint8Array[]): void;
  show(options?: DisplayOptions): Promise<void>;
}

/** The functions that a kernel offers to its cells. */
export interface CellHooks {
  interact(given: Answered): ShownControls;
  widget(given: SharedWidget): ShownWidget;
  display(value: unknown, options?: DisplayOptions): void;
  clearOutput(options?: { readonly wait?: boolean }): void;
  /** Keeps the volumes of a view for the pages that show it. Returns the view's id. */
  holdVolumes(volumes: readonly HeldVolume[]): string;
  /** Asks the user of the front end for a line of text. */
  input(prompt?: string, options?: { readonly password?: boolean }): Promise<string>;
}

type Global = Record<symbol, unknown>;

/** A hook of the kernel that runs this code; undefined outside a notebook. */
export function cellHook<K extends keyof CellHooks>(name: K): CellHooks[K] | undefined {
  return (globalThis as Global)[Symbol.for(`patchwise.${name}`)] as CellHooks[K] | undefined;
}

/** Offers each hook under `patchwise.` and its name. A kernel may offer more hooks than the library uses. */
export function installCellHooks(hooks: CellHooks): void {
  for (const [name, hook] of Object.entries(hooks))
    (globalThis as Global)[Symbol.for(`patchwise.${name}`)] = hook;
}
