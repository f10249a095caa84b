/** Values that show themselves as what they hold: HTML, Markdown, LaTeX, SVG, PNG, JSON. */
import { type MimeBundle, SHOWS_ITSELF } from '../display-protocol';

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

/** A tree that can be opened and closed, of what JSON can spell. */
export function json(value: unknown): Rich {
  return new Rich({ 'application/json': value, 'text/plain': JSON.stringify(value, null, 2) });
}
