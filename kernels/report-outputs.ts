import { stripVTControlCharacters } from 'node:util';
import { FIGURE_MIME, PLOTLY_MIME } from '../src/index';
import { joined, type MultilineText, type Output } from './notebook';
import { escapeHtml, isHarmlessHtml } from './safe-html';

/** A figure of a report: drawn by Plotly, or a picture or text where the report would get too large. */
export interface ReportFigure {
  readonly id: string;
  /** Plotly's `{data, layout}` as JSON that is safe within a script element. */
  readonly json: string;
  /** What stands in its place when it is not drawn. */
  readonly still: string;
  readonly text: string;
}

export type Markdown = (source: string) => string;

/** Outputs as HTML; figures are collected and leave a `<!--figure id-->` mark in their place. */
export class OutputWriter {
  readonly figures: ReportFigure[] = [];

  constructor(private readonly markdown: Markdown) {}

  write(output: Output): string {
    switch (output.output_type) {
      case 'stream':
        // The name is the notebook's: anything may stand there.
        return pre(output.name === 'stderr' ? 'output stderr' : 'output', terminalText(joined(output.text)));
      case 'error':
        return pre(
          'output error',
          terminalText(output.traceback.join('\n') || `${output.ename}: ${output.evalue}`),
        );
      default:
        return this.#bundle(output.data);
    }
  }

  /** The best form of a bundle that a page can show. */
  #bundle(data: Record<string, unknown>): string {
    const text = terminalText(textOf(data['text/plain']) ?? '');
    const figure = (data[FIGURE_MIME] as { figure?: unknown } | undefined)?.figure ?? data[PLOTLY_MIME];
    if (isPlotly(figure)) return this.#figure(figure, stillOf(data, text), text);
    const still = stillOf(data, text);
    if (still) return still;
    const html = textOf(data['text/html']);
    if (html !== undefined && isHarmlessHtml(html)) return `<div class="output foreign">${html}</div>`;
    const markdown = textOf(data['text/markdown']);
    if (markdown !== undefined) return `<div class="output foreign">${this.markdown(markdown)}</div>`;
    if (text) return pre('output', text);
    const json = data['application/json'];
    return json === undefined ? '' : pre('output', JSON.stringify(json, null, 2));
  }

  #figure(figure: { data: unknown; layout: unknown }, still: string, text: string): string {
    const id = `figure-${this.figures.length + 1}`;
    const plain = JSON.stringify({ data: figure.data, layout: figure.layout ?? {} });
    this.figures.push({ id, json: plain.replaceAll('<', '\\u003c'), still, text });
    return figureMark(id);
  }
}

export function figureMark(id: string): string {
  return `<!--${id}-->`;
}

/** @param kind the report's own classes; only `text` may be the notebook's */
export function pre(kind: 'code' | 'output' | 'output stderr' | 'output error', text: string): string {
  return text.trim() === '' ? '' : `<pre class="${kind}">${escapeHtml(text)}</pre>`;
}

/** A picture of the bundle. It is shown through `img`, where an SVG can run nothing. */
function stillOf(data: Record<string, unknown>, text: string): string {
  const svg = textOf(data['image/svg+xml']);
  if (svg !== undefined) return image('image/svg+xml', Buffer.from(svg).toString('base64'), text);
  for (const type of ['image/png', 'image/jpeg', 'image/gif', 'image/webp']) {
    const base64 = textOf(data[type]);
    if (base64 !== undefined && /^[A-Za-z0-9+/=\s]*$/.test(base64))
      return image(type, base64.replace(/\s/g, ''), text);
  }
  return '';
}

function image(type: string, base64: string, alt: string): string {
  return `<div class="output"><img src="data:${type};base64,${base64}" alt="${escapeHtml(alt)}"></div>`;
}

function isPlotly(value: unknown): value is { data: unknown; layout: unknown } {
  return typeof value === 'object' && value !== null && 'data' in value && Array.isArray(value.data);
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return Array.isArray(value) && value.every((line) => typeof line === 'string')
    ? joined(value as MultilineText)
    : undefined;
}

/** What a terminal would show: no colour codes, and of a line that was written over only what came last. */
function terminalText(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => line.slice(line.lastIndexOf('\r', line.length - 2) + 1).replace('\r', ''))
    .join('\n');
}
