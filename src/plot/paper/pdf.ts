import { version } from '../../package';
import { fontFile, fontStyle, fontStyles } from './font';
import type { Sheet } from './sheet';
import { type Node, numberOf } from './tree';

type Document = PDFKit.PDFDocument;

/** What an element takes over from those around it. */
type Inherited = Readonly<Record<string, string>>;

/** A sheet as a PDF of one page: lines stay lines, text stays text, pictures keep every pixel. */
export async function sheetToPdf({ root, width, points }: Sheet, title: string): Promise<Uint8Array> {
  const { default: PDFDocument } = await import('pdfkit');
  const info = { Title: title, Creator: `Patchwise ${version()}` };
  const page = new PDFDocument({ size: [points.width, points.height], margin: 0, info });
  for (const style of fontStyles) page.registerFont(style, fontFile(style));
  page.scale(points.width / width);
  draw(page, root, {});
  page.end();
  const chunks: Uint8Array[] = [];
  for await (const chunk of page) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

function draw(page: Document, node: Node, around: Inherited): void {
  const look = { ...around, ...node.attributes };
  const at = (name: string): number => numberOf(node, name);
  page.save();
  transform(page, node.attributes.transform);
  switch (node.name) {
    case 'svg':
    case 'g':
      for (const child of node.children) draw(page, child, look);
      break;
    case 'line':
      paint(page.moveTo(at('x1'), at('y1')).lineTo(at('x2'), at('y2')), { ...look, fill: 'none' });
      break;
    case 'rect':
      paint(page.rect(at('x'), at('y'), at('width'), at('height')), look);
      break;
    case 'circle':
      paint(page.circle(at('cx'), at('cy'), at('r')), look);
      break;
    case 'path':
      paint(page.path(look.d!), look);
      break;
    case 'text':
      write(page, node, look);
      break;
    case 'image': {
      const bytes = Buffer.from(look.href!.slice(look.href!.indexOf(',') + 1), 'base64');
      page.image(bytes, at('x'), at('y'), { width: at('width'), height: at('height') });
      break;
    }
    default:
      throw new Error(`a PDF has no way to draw <${node.name}>`);
  }
  page.restore();
}

function paint(page: Document, look: Inherited): void {
  const [fill, stroke] = [look.fill ?? '#000000', look.stroke ?? 'none'];
  const opacity = Number(look.opacity ?? 1);
  const dash = look['stroke-dasharray']?.split(/[ ,]+/).map(Number);
  if (look['stroke-linejoin'] === 'round') page.lineJoin('round');
  if (dash) page.dash(dash[0]!, { space: dash[1]! });
  page.lineWidth(Number(look['stroke-width'] ?? 1));
  const [inside, outline] = [colorOf(fill), colorOf(stroke)];
  page
    .fillColor(inside.color, inside.opacity * opacity)
    .strokeColor(outline.color, outline.opacity * opacity);
  if (inside.opacity > 0 && outline.opacity > 0) page.fillAndStroke();
  else if (inside.opacity > 0) page.fill();
  else if (outline.opacity > 0) page.stroke();
}

function write(page: Document, node: Node, look: Inherited): void {
  page.font(fontStyle(look['font-weight'])).fontSize(Number.parseFloat(look['font-size'] ?? '12'));
  const { color, opacity } = colorOf(look.fill ?? '#000000');
  const share = { start: 0, middle: 0.5, end: 1 }[look['text-anchor'] ?? 'start'] ?? 0;
  const x = numberOf(node, 'x') - share * page.widthOfString(node.text);
  page.fillColor(color, opacity * Number(look.opacity ?? 1));
  page.text(node.text, x, numberOf(node, 'y'), { lineBreak: false, baseline: 'alphabetic' });
}

/** The moves and turns that our pictures use: `translate(x y)` and `rotate(angle x y)`. */
function transform(page: Document, written = ''): void {
  for (const [, kind, list] of written.matchAll(/(translate|rotate)\(([^)]*)\)/g)) {
    const [first = 0, x = 0, y = 0] = list!.split(/[ ,]+/).map(Number);
    if (kind === 'translate') page.translate(first, x);
    else page.rotate(first, { origin: [x, y] });
  }
}

/** A colour as CSS writes it: `#rrggbb`, a name, `rgb(…)`, `rgba(…)`, or none. */
function colorOf(css: string): { color: PDFKit.Mixins.ColorValue; opacity: number } {
  const [, list] = /^rgba?\((.*)\)$/.exec(css) ?? [];
  if (css === 'none' || css === 'transparent') return { color: '#000000', opacity: 0 };
  if (list === undefined) return { color: css, opacity: 1 };
  const [red = 0, green = 0, blue = 0, opacity = 1] = list.split(/[ ,/]+/).map(Number);
  return { color: [red, green, blue], opacity };
}
