/** An executed notebook as one HTML file: readable, interactive, offline, complete in itself. */
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { escapeHtml } from '../../src/escape';
import { version } from '../../src/index';
import { compiledFile } from '../../src/package';
import { isClosedHtml, isEmbeddedPicture, isHarmlessHtml, isHarmlessLink } from '../display/safe-html';
import { TERMINAL_STYLE } from '../display/terminal-text';
import { type Notebook, sourceOf } from '../headless/notebook';
import type { OutputFile } from '../headless/output-file';
import { figureMark, highlight, type Markdown, OutputWriter, pre, type ReportFigure } from './outputs';
import { embeddable, policy, STYLE } from './page';
import { FRAME_HEIGHTS } from './widget-frame';

const gzipped = promisify(gzip);

interface ReportOptions {
  /** Default: the first heading of the notebook, else "Notebook". */
  readonly title?: string;
  /**
   * Most bytes of the page, by default 10 million. As few figures as possible become still pictures until it fits. If
   * that is not enough, the middle of long texts is left out, then large pictures.
   */
  readonly maxBytes?: number;
}

/**
 * The HTML of an executed notebook. Figures are interactive and share one copy of Plotly. The page fetches nothing: its
 * content policy forbids it. Outputs are escaped; their HTML stays HTML only if it is harmless.
 */
export async function notebookToHtml(notebook: Notebook, options: ReportOptions = {}): Promise<string> {
  const markdown = await markdownWriter();
  const most = (options.maxBytes ?? 10_000_000) - FRAME_BYTES;
  let [body, outputs] = writeCells(notebook, markdown, Number.POSITIVE_INFINITY);
  const scripts = await figureScripts(outputs.figures);
  const room = (): number => most - Buffer.byteLength(body) - Buffer.byteLength(scripts);
  for (const longest of LONGEST_TEXTS) {
    if (room() >= smallest(outputs.figures)) break;
    [body, outputs] = writeCells(notebook, markdown, longest);
  }
  const title = options.title ?? firstHeading(notebook) ?? 'Notebook';
  const drawn = figuresThatFit(outputs.figures, room());
  const heights = outputs.hasWidgets ? `<script>${FRAME_HEIGHTS}</script>` : '';
  const placed = placeFigures(body, outputs.figures, drawn);
  return page(title, placed, heights + (drawn.size > 0 ? scripts : ''), policy(outputs.hasWidgets));
}

/** The page without cells and Plotly. */
const FRAME_BYTES = 20_000;
/** Marked takes for ever over a paragraph of many megabytes. */
const LONGEST_MARKDOWN = 1_000_000;
/** How many characters of a text are shown, tried in turn if the whole does not fit. */
const LONGEST_TEXTS = [1_000_000, 100_000, 10_000];

function writeCells(notebook: Notebook, markdown: Markdown, longest: number): [string, OutputWriter] {
  const outputs = new OutputWriter(markdown, longest);
  const cells = notebook.cells.map((cell) => {
    const source = sourceOf(cell);
    if (cell.cell_type === 'markdown') return `<section class="foreign">${markdown(source)}</section>`;
    if (cell.cell_type === 'raw') return pre('output', source);
    const code = source.trim() === '' ? '' : `<pre class="code">${highlight(source)}</pre>`;
    return `<section>${code}${(cell.outputs ?? []).map((output) => outputs.write(output)).join('\n')}</section>`;
  });
  return [cells.join('\n'), outputs];
}

/** Bytes of a figure that scripts draw. */
function drawnBytes({ json, kind, still }: ReportFigure): number {
  return Buffer.byteLength(json) + (kind === 'volumes' ? Buffer.byteLength(still) : 0);
}

/** Bytes that a figure takes less as a still picture. */
function savingOf(figure: ReportFigure): number {
  return drawnBytes(figure) - Buffer.byteLength(figure.still);
}

/** Bytes of the figures if each takes its smaller form. */
function smallest(figures: readonly ReportFigure[]): number {
  return figures.reduce((sum, figure) => sum + drawnBytes(figure) - Math.max(0, savingOf(figure)), 0);
}

/** Writes the report of an executed notebook. @param name its title, if it has no heading */
export async function writeReport(notebook: Notebook, name: string, file: OutputFile): Promise<void> {
  await file.write(await notebookToHtml(notebook, { title: firstHeading(notebook) ?? name }));
}

function page(title: string, body: string, scripts: string, allowed: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${allowed}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}${TERMINAL_STYLE}</style>
</head>
<body>
<main>
${body}
</main>
<footer>Made by Patchwise ${escapeHtml(version())}. This file is complete: it needs no network.</footer>
${scripts}
</body>
</html>
`;
}

/**
 * All figures if they fit. Otherwise the smallest one that saves enough as a still picture is left out, or, if none
 * does, the one that saves the most, and so on.
 */
function figuresThatFit(figures: readonly ReportFigure[], room: number): Set<string> {
  const drawn = new Set(figures.map(({ id }) => id));
  const candidates = figures
    .filter((figure) => savingOf(figure) > 0)
    .sort((a, b) => savingOf(a) - savingOf(b));
  let left = room - figures.reduce((sum, figure) => sum + drawnBytes(figure), 0);
  while (left < 0 && candidates.length > 0) {
    const enough = candidates.findIndex((figure) => left + savingOf(figure) >= 0);
    const [figure] = candidates.splice(enough < 0 ? candidates.length - 1 : enough, 1);
    drawn.delete(figure!.id);
    left += savingOf(figure!);
  }
  return drawn;
}

const WHY_STILL =
  '<p class="note">A still picture, without its buttons and sliders: with all figures to click on, this page would be ' +
  'larger than it may be. The notebook has the figure itself.</p>';

function placeFigures(body: string, figures: readonly ReportFigure[], drawn: ReadonlySet<string>): string {
  let html = body;
  for (const { id, kind, json, still, text } of figures) {
    // Volumes are drawn when they come into sight. Until then, and without scripts, their still picture is there.
    const before = (kind === 'volumes' && still) || pre('output', text);
    const interactive =
      `<div class="wide"><div class="figure" data-${kind}="${id}">${before}</div></div>` +
      `<script type="application/json" id="${id}">${json}</script>`;
    const placed = drawn.has(id) ? interactive : `${still || pre('output', text)}${still && WHY_STILL}`;
    html = html.replace(figureMark(id), () => placed);
  }
  return html;
}

/** Plotly, the viewer of volumes if there are any, and what unpacks them and draws the page's figures. */
async function figureScripts(figures: readonly ReportFigure[]): Promise<string> {
  if (figures.length === 0) return '';
  const hasVolumes = figures.some(({ kind }) => kind === 'volumes');
  const packed = [
    await packedScript('plotly', require.resolve('plotly.js-dist-min/plotly.min.js')),
    ...(hasVolumes
      ? [await packedScript('patchwise-viewer', compiledFile('kernels', 'browser', 'viewer.js'))]
      : []),
  ];
  const script = await readFile(compiledFile('kernels', 'browser', 'report.js'), 'utf8');
  return [...packed, `<script>${embeddable(script)}</script>`].join('\n');
}

/** A library as gzip in base64, which leaves twice as much room for figures. */
async function packedScript(id: string, file: string): Promise<string> {
  const packed = await gzipped(await readFile(file), { level: 9 });
  return `<script type="text/plain" id="${id}">${packed.toString('base64')}</script>`;
}

/** Markdown with harmless HTML only, pictures of the page itself only, and links that a reader may follow. */
async function markdownWriter(): Promise<Markdown> {
  const { Marked } = await import('marked');
  const withHtml = (html: (text: string) => string) =>
    new Marked({ gfm: true }).use({
      renderer: {
        html: ({ text }) => html(text),
        image: ({ href, text }) =>
          isEmbeddedPicture(href)
            ? `<img src="${escapeHtml(href)}" alt="${escapeHtml(text)}">`
            : escapeHtml(text || href),
        link(token) {
          const label = this.parser.parseInline(token.tokens);
          return isHarmlessLink(token.href) ? `<a href="${escapeHtml(token.href)}">${label}</a>` : label;
        },
      },
    });
  const marked = withHtml((text) => (isHarmlessHtml(text) ? text : escapeHtml(text)));
  const plain = withHtml(escapeHtml); // shows HTML as text
  return (source) => {
    if (source.length > LONGEST_MARKDOWN) return pre('output', source);
    try {
      const html = marked.parse(source, { async: false });
      return isClosedHtml(html) ? html : plain.parse(source, { async: false });
    } catch {
      return pre('output', source); // thousands of quotes or lists within one another
    }
  };
}

function firstHeading({ cells }: Notebook): string | undefined {
  const headings = cells.map(
    (cell) => cell.cell_type === 'markdown' && /^#\s+(.+)$/m.exec(sourceOf(cell))?.[1],
  );
  return headings.find((heading) => typeof heading === 'string')?.trim();
}
