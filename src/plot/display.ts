/** Showing values in the running cell, also such as show themselves: HTML, Markdown, LaTeX, SVG, PNG, JSON. */
import { createInterface } from 'node:readline/promises';
import { inspect } from 'node:util';
import { cellHook, type DisplayOptions, type MimeBundle, SHOWS_ITSELF } from '../display-protocol';
import { toBundle } from './show';

/** A value with its MIME bundle made. The last value of a cell, or an argument of `display`. */
export class Rich {
  constructor(readonly bundle: Readonly<MimeBundle>) {}

  [SHOWS_ITSELF](): Readonly<MimeBundle> {
    return this.bundle;
  }
}

/** HTML to show in a cell. Terminals show its text. */
export function html(text: string): Rich {
  return new Rich({ 'text/html': text, 'text/plain': text.replace(/<[^>]*>/g, '') });
}

/** Markdown to show in a cell. */
export function markdown(text: string): Rich {
  return new Rich({ 'text/markdown': text, 'text/plain': text });
}

/** @param formula with or without its `$` signs */
export function latex(formula: string): Rich {
  const text = /^\s*(\$|\\begin|\\\[)/.test(formula) ? formula : `$$${formula}$$`;
  return new Rich({ 'text/latex': text, 'text/plain': formula });
}

/** An SVG picture to show in a cell. @param text the whole `<svg>` element */
export function svg(text: string): Rich {
  return new Rich({ 'image/svg+xml': text, 'text/plain': `SVG, ${text.length} characters` });
}

/** @param bytes a whole PNG file, as bytes or as base64 */
export function png(bytes: Uint8Array | string): Rich {
  const data = typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('base64');
  return new Rich({ 'image/png': data, 'text/plain': `PNG, ${Math.floor((data.length * 3) / 4)} bytes` });
}

/** A JSON value as a tree that can be opened and closed. */
export function json(value: unknown): Rich {
  return new Rich({ 'application/json': value, 'text/plain': JSON.stringify(value, null, 2) });
}

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
