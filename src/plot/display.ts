import { createInterface } from 'node:readline/promises';
import { inspect } from 'node:util';
import { cellHook, type DisplayOptions, type MimeBundle } from '../display-protocol';
import { Rich } from './rich';
import { toBundle } from './show';

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
  const show = cellHook('display');
  const bundle = (): MimeBundle | undefined => (value instanceof Rich ? value.bundle : toBundle(value));
  if (show) show(value, options);
  else process.stdout.write(`${bundle()?.['text/plain'] ?? inspect(value)}\n`);
}

/** Empties the output of the running cell, with `wait` only when the next output comes. Outside a notebook: nothing. */
export function clearOutput(options: { readonly wait?: boolean } = {}): void {
  cellHook('clearOutput')?.(options);
}

/** Asks the person at the notebook, or at the terminal, for a line of text. */
export async function input(prompt = '', options: { readonly password?: boolean } = {}): Promise<string> {
  const ask = cellHook('input');
  if (ask) return ask(prompt, options);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(prompt);
  } finally {
    terminal.close();
  }
}
