import { inspect } from 'node:util';
import { toBundle } from './show';

export interface DisplayOptions {
  /** A later display with the same id replaces this one in place. */
  readonly id?: string;
}

/** What a kernel puts at `globalThis[DISPLAY_HOOK]` to receive what is displayed. */
export type DisplayHook = (value: unknown, options: DisplayOptions) => void;

export const DISPLAY_HOOK: unique symbol = Symbol.for('patchwise.display');

/**
 * Shows a value in the running cell, as it would show itself as the cell's last value. Outside a notebook its text
 * is printed.
 */
export function display(value: unknown, options: DisplayOptions = {}): void {
  const hook = (globalThis as { [DISPLAY_HOOK]?: DisplayHook })[DISPLAY_HOOK];
  if (hook) hook(value, options);
  else process.stdout.write(`${toBundle(value)?.['text/plain'] ?? inspect(value)}\n`);
}
