import { type Control, controlsHtml } from '../../src/controls/controls';
import { INTERACT_MIME, type StoredInteraction } from '../../src/controls/interact-bundle';
import { type StoredWidget, WIDGET_MIME } from '../../src/controls/widget-bundle';
import { escapeHtml } from '../../src/escape';
import { FIGURE_MIME, PLOTLY_MIME } from '../../src/internal';
import { VOLUMES_MIME } from '../../src/volumes-bundle';
import { isClosedHtml, isHarmlessHtml } from '../display/safe-html';
import { terminalHtml, terminalText } from '../display/terminal-text';
import { isOutput, isText, joined, type Output } from '../headless/notebook';
import { isStoredWidget, widgetFrame } from './widget-frame';

/** A figure of a report: drawn by its scripts, or a still picture or text if the report would get too large. */
export interface ReportFigure {
  readonly id: string;
  /** Whether the viewer of volumes draws it, or Plotly alone. */
  readonly kind: 'volumes' | 'figure';
  /**
   * JSON that is safe within a script element: Plotly's `{data, layout}`, or `{volumes, figure}` with the Plotly figure
   * for browsers without WebGL.
   */
  readonly json: string;
  /** Shown if the figure is not drawn. */
  readonly still: string;
  readonly text: string;
}

const LONGEST_ALT = 1000;

export type Markdown = (source: string) => string;

/** Outputs as HTML. Figures are collected, and a mark `<!--figure id-->` takes their place. */
export class OutputWriter {
  readonly figures: ReportFigure[] = [];
  hasWidgets = false;

  /** @param longest most characters of one text or HTML table; a picture may have ten times as many */
  constructor(
    private readonly markdown: Markdown,
    private readonly longest = Number.POSITIVE_INFINITY,
  ) {}

  write(output: Output): string {
    switch (output.output_type) {
      case 'stream':
        // The name comes from the notebook and may be anything.
        return this.#terminal(output.name === 'stderr' ? 'output stderr' : 'output', joined(output.text));
      case 'error':
        return this.#terminal(
          'output error',
          output.traceback.join('\n') || `${output.ename}: ${output.evalue}`,
        );
      default:
        return this.#bundle(output.data);
    }
  }

  /** The best form of a bundle that a page can show. */
  #bundle(data: Readonly<Record<string, unknown>>): string {
    const interaction = data[INTERACT_MIME];
    if (isInteraction(interaction)) {
      const controls = controlsHtml(interaction.controls, interaction.values, true);
      const outputs = (interaction.outputs as Output[]).map((output) => this.write(output));
      return `<div class="interaction">${controls}${STILL}${outputs.join('')}</div>`;
    }
    const widget = data[WIDGET_MIME];
    if (isStoredWidget(widget)) return this.#widget(widget);
    const words = textOf(data['text/plain']) ?? '';
    // The text of a picture: nobody reads more of it.
    const text = terminalText(words.slice(0, LONGEST_ALT));
    const still = stillOf(data, text);
    const figure = (data[FIGURE_MIME] as { figure?: unknown } | undefined)?.figure ?? data[PLOTLY_MIME];
    const volumes = data[VOLUMES_MIME];
    if (isVolumes(volumes)) {
      const drawn = { volumes, ...(isPlotly(figure) && { figure: plain(figure) }) };
      return this.#figure('volumes', drawn, still, text);
    }
    if (isPlotly(figure)) return this.#figure('figure', plain(figure), still, text);
    if (still.length > 10 * this.longest) return leftOut('A picture', still.length);
    if (still) return still;
    const html = textOf(data['text/html']);
    if (html !== undefined && html.length <= this.longest && isHarmlessHtml(html) && isClosedHtml(html))
      return `<div class="output foreign">${html}</div>`;
    const markdown = textOf(data['text/markdown']);
    if (markdown !== undefined && markdown.length <= this.longest)
      return `<div class="output foreign">${this.markdown(markdown)}</div>`;
    if (words) return this.#terminal('output', words);
    const json = data['application/json'];
    if (json !== undefined) return this.#terminal('output', JSON.stringify(json, null, 2));
    const unshown = markdown ?? html ?? '';
    return unshown.length > this.longest ? leftOut('A text', unshown.length) : '';
  }

  #widget(stored: StoredWidget): string {
    const frame = widgetFrame(stored);
    if (frame.length > 10 * this.longest) return leftOut('A widget', frame.length);
    this.hasWidgets = true;
    return frame;
  }

  #terminal(kind: 'output' | 'output stderr' | 'output error', text: string): string {
    return text.trim() === '' ? '' : `<pre class="${kind}">${terminalHtml(text, this.longest)}</pre>`;
  }

  #figure(kind: ReportFigure['kind'], drawn: object, still: string, text: string): string {
    const id = `figure-${this.figures.length + 1}`;
    const json = JSON.stringify(drawn).replaceAll('<', '\\u003c');
    this.figures.push({ id, kind, json, still, text });
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

/** A picture of the bundle, in an `img`, where an SVG can run nothing. */
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

const STILL = '<p class="note">As it was left. In the notebook these controls can be moved.</p>';

/** Whether a notebook's value can be drawn as an interaction: whoever wrote the file may have put anything there. */
function isInteraction(value: unknown): value is StoredInteraction {
  const { controls, values, outputs } = (value ?? {}) as Partial<StoredInteraction>;
  if (!Array.isArray(controls) || typeof values !== 'object' || values === null) return false;
  // An object's own `toString` may be no function: such a value has no words.
  if (Object.values(values).some((one) => typeof one === 'object' && one !== null)) return false;
  return controls.every(isControl) && Array.isArray(outputs) && outputs.every(isOutput);
}

function isControl(control: Partial<Record<string, unknown>> | null): control is Control {
  const { kind, name, min, max, step, options, label } = control ?? {};
  if (typeof name !== 'string') return false;
  if (kind === 'slider') return [min, max, step].every(Number.isFinite);
  if (kind === 'choice')
    return Array.isArray(options) && options.every((one) => ['string', 'number'].includes(typeof one));
  return kind === 'checkbox' || kind === 'text' || (kind === 'button' && typeof label === 'string');
}

function isPlotly(value: unknown): value is { data: unknown; layout: unknown } {
  return typeof value === 'object' && value !== null && 'data' in value && Array.isArray(value.data);
}

/** What Plotly draws of a figure. */
function plain({ data, layout }: { data: unknown; layout: unknown }): object {
  return { data, layout: layout ?? {} };
}

function isVolumes(value: unknown): value is object {
  return typeof value === 'object' && value !== null && 'volumes' in value && Array.isArray(value.volumes);
}

function textOf(value: unknown): string | undefined {
  return isText(value) ? joined(value) : undefined;
}

function leftOut(what: string, characters: number): string {
  const size = (characters / 1e6).toFixed(1);
  return pre('output', `${what} of ${size} MB is left out here: the notebook has it.`);
}

const TOKEN =
  /(\/\/[^\n]*|\/\*[\s\S]*?\*\/)|('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|(\b\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?\b)|(\b[A-Za-z_$][\w$]*\b)/g;
const KEYWORDS = new Set(
  (
    'abstract as async await break case catch class const continue default delete do else enum export extends false ' +
    'finally for from function if implements import in instanceof interface let new null of return satisfies static ' +
    'super switch this throw true try type typeof undefined var void while yield'
  ).split(' '),
);

const KINDS = ['comment', 'string', 'number'] as const;

/** TypeScript as HTML with its comments, strings, numbers and keywords marked; everything else is only escaped. */
export function highlight(source: string): string {
  let html = '';
  let end = 0;
  for (const match of source.matchAll(TOKEN)) {
    const [token] = match;
    html += escapeHtml(source.slice(end, match.index));
    const kind = KINDS.find((_, at) => match[at + 1]) ?? (KEYWORDS.has(token) ? 'keyword' : '');
    html += kind ? `<span class="${kind}">${escapeHtml(token)}</span>` : escapeHtml(token);
    end = match.index + token.length;
  }
  return html + escapeHtml(source.slice(end));
}
