import { createInterface } from 'node:readline/promises';
import { inspect } from 'node:util';
import { Rich } from './rich';
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
 *
 * ```ts
 * pw.display(pw.markdown('**before**'), { id: 'mine' });
 * pw.display(pw.markdown('**after**'), { id: 'mine' }); // in the place of the first
 * ```
 */
export function display(value: unknown, options: DisplayOptions = {}): void {
  const hook = (globalThis as { [DISPLAY_HOOK]?: DisplayHook })[DISPLAY_HOOK];
  if (hook) hook(value, options);
  else
    process.stdout.write(
      `${(value instanceof Rich ? value.bundle : toBundle(value))?.['text/plain'] ?? inspect(value)}\n`,
    );
}

/** True where a kernel shows what is displayed. */
export function isNotebook(): boolean {
  return DISPLAY_HOOK in globalThis;
}

/** Empties the output of the running cell, with `wait` only when the next output comes. Outside a notebook: nothing. */
export function clearOutput(options: { readonly wait?: boolean } = {}): void {
  hookNamed<(options: { wait?: boolean }) => void>('clearOutput')?.(options);
}

/** Asks the person at the notebook, or at the terminal, for a line of text. */
export async function input(prompt = '', options: { readonly password?: boolean } = {}): Promise<string> {
  const ask = hookNamed<(prompt: string, options: { password?: boolean }) => Promise<string>>('input');
  if (ask) return ask(prompt, options);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(prompt);
  } finally {
    terminal.close();
  }
}

function hookNamed<T>(name: string): T | undefined {
  return (globalThis as Record<symbol, unknown>)[Symbol.for(`patchwise.${name}`)] as T | undefined;
}
