import { inflateSync } from 'node:zlib';

type Matrix = readonly [number, number, number, number, number, number];

export interface PdfText {
  readonly text: string;
  readonly font: string;
  /** Size in points on the page. */
  readonly size: number;
  /** Where its baseline starts on the page, in points from the left and from the top. */
  readonly left: number;
  readonly top: number;
  /** In points, by the widths that the font's entry gives its letters. */
  readonly width: number;
  /** It does not read from left to right. */
  readonly isTurned: boolean;
}

export interface PdfImage {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** As a PNG holds them: each row after its filter. */
  readonly rows: Buffer;
}

export interface ReadPdf {
  readonly pages: number;
  /** Width and height in points. */
  readonly size: readonly number[];
  readonly title: string;
  readonly texts: readonly PdfText[];
  readonly images: readonly PdfImage[];
  /** The bytes of the TrueType file that each font brings along. */
  readonly fonts: ReadonlyMap<string, number>;
  /** How many outlines are painted with each operator. */
  readonly painted: ReadonlyMap<string, number>;
}

interface PdfObject {
  readonly head: string;
  readonly stream: Buffer | undefined;
}

/** A reader of its own for what pdfkit writes: one page, deflated streams, fonts with a map to Unicode. */
export function readPdf(file: Uint8Array): ReadPdf {
  const objects = objectsOf(Buffer.from(file));
  const page = [...objects.values()].find(({ head }) => /\/Type \/Page\n/.test(head))!;
  const resources = follow(objects, page.head, 'Resources');
  const named = (kind: string): Map<string, PdfObject> => {
    const list = new RegExp(`/${kind} <<([^>]*)>>`).exec(resources.head)?.[1] ?? '';
    const pairs = [...list.matchAll(/\/(\w+) (\d+) 0 R/g)];
    return new Map(pairs.map(([, name, id]) => [name!, objects.get(Number(id))!]));
  };
  const images = [...named('XObject').values()].map(imageOf);
  const fonts = new Map([...named('Font')].map(([name, font]) => [name, fontOf(objects, font)]));
  const size = numbers(/\/MediaBox \[([^\]]*)\]/.exec(page.head)![1]!).slice(2);
  const contents = follow(objects, page.head, 'Contents').stream!.toString('latin1');
  return {
    pages: Number(/\/Count (\d+)/.exec([...objects.values()].map(({ head }) => head).join())![1]),
    size,
    title: titleOf(objects),
    ...interpret(contents, fonts, size[1]!),
    images,
    fonts: new Map([...fonts.values()].map(({ name, bytes }) => [name, bytes])),
  };
}

function objectsOf(file: Buffer): Map<number, PdfObject> {
  const text = file.toString('latin1');
  const objects = new Map<number, PdfObject>();
  for (const { 0: start, 1: id, index } of text.matchAll(/(?<=\n)(\d+) 0 obj\n/g)) {
    const from = index + start.length;
    const head = text.slice(from, text.indexOf('endobj', from));
    const at = head.indexOf('stream\n');
    const length = Number(/\/Length (\d+)/.exec(head)?.[1]);
    const bytes = at < 0 ? undefined : file.subarray(from + at + 7, from + at + 7 + length);
    const stream = bytes && head.includes('/FlateDecode') ? inflateSync(bytes) : bytes;
    objects.set(Number(id), { head: at < 0 ? head : head.slice(0, at), stream });
  }
  return objects;
}

function follow(objects: ReadonlyMap<number, PdfObject>, head: string, key: string): PdfObject {
  return objects.get(Number(new RegExp(`/${key} \\[?(\\d+) 0 R`).exec(head)![1]))!;
}

function imageOf({ head, stream }: PdfObject): PdfImage {
  const value = (key: string): number => Number(new RegExp(`/${key} (\\d+)`).exec(head)![1]);
  const channels = head.includes('/DeviceGray') ? 1 : 3;
  return { width: value('Width'), height: value('Height'), channels, rows: stream! };
}

function fontOf(objects: ReadonlyMap<number, PdfObject>, { head }: { head: string }) {
  const map = follow(objects, head, 'ToUnicode').stream!.toString('latin1');
  const units = [...map.matchAll(/\[((?:<[\da-f ]+> ?)+)\]/g)].flatMap(([, list]) =>
    [...list!.matchAll(/<([\da-f ]+)>/g)].map(([, code]) =>
      String.fromCharCode(...code!.split(' ').map((unit) => Number.parseInt(unit, 16))),
    ),
  );
  const descendant = follow(objects, head, 'DescendantFonts').head;
  const descriptor = follow(objects, descendant, 'FontDescriptor');
  const widths = numbers(/\/W \[0 \[([^\]]*)\]/.exec(descendant)![1]!);
  const name = /\/BaseFont \/\w+\+([\w-]+)/.exec(head)![1]!;
  return { name, units, widths, bytes: follow(objects, descriptor.head, 'FontFile2').stream!.length };
}

function titleOf(objects: ReadonlyMap<number, PdfObject>): string {
  const info = [...objects.values()].find(({ head }) => head.includes('/Producer'))!;
  const written = follow(objects, info.head, 'Title').head.trim().slice(1, -1).replace(/\\(.)/g, '$1');
  if (!written.startsWith('\xfe\xff')) return written;
  return Buffer.from(written.slice(2), 'latin1').swap16().toString('utf16le');
}

/** Follows the page's operators as far as texts and outlines need them. */
function interpret(
  contents: string,
  fonts: ReadonlyMap<string, { name: string; units: readonly string[]; widths: readonly number[] }>,
  pageHeight: number,
) {
  let matrix: Matrix = [1, 0, 0, 1, 0, 0];
  let place: Matrix = matrix;
  let [font, size] = ['', 0];
  const saved: Matrix[] = [];
  const texts: PdfText[] = [];
  const painted = new Map<string, number>();
  let operands: string[] = [];
  for (const [token] of contents.matchAll(/\[[^\]]*\]|[^\s[\]]+/g)) {
    if (/^[[/\-.\d]/.test(token)) {
      operands.push(token);
      continue;
    }
    const values = operands.map(Number) as unknown as Matrix;
    if (token === 'q') saved.push(matrix);
    else if (token === 'Q') matrix = saved.pop()!;
    else if (token === 'cm') matrix = times(values, matrix);
    else if (token === 'Tm') place = times(values, matrix);
    else if (token === 'Tf') [font, size] = [operands[0]!.slice(1), Number(operands[1])];
    else if (token === 'TJ') {
      const { name, units, widths } = fonts.get(font)!;
      const codes = [...operands[0]!.matchAll(/<([\da-f]+)>/g)].flatMap(([, hex]) => hex!.match(/.{4}/g)!);
      const glyphs = codes.map((code) => Number.parseInt(code, 16));
      const text = glyphs.map((glyph) => units[glyph]).join('');
      const thousandths = glyphs.reduce((sum, glyph) => sum + widths[glyph]!, 0);
      const scale = Math.hypot(place[0], place[1]);
      const isTurned = Math.abs(place[1]) > 1e-6;
      texts.push({
        ...{ text, font: name, size: size * scale, isTurned },
        ...{ left: place[4], top: pageHeight - place[5], width: (thousandths / 1000) * size * scale },
      });
    } else if (/^[fSB]$/.test(token)) painted.set(token, (painted.get(token) ?? 0) + 1);
    operands = [];
  }
  return { texts, painted };
}

function times(a: Matrix, b: Matrix): Matrix {
  return [
    a[0] * b[0] + a[1] * b[2],
    a[0] * b[1] + a[1] * b[3],
    a[2] * b[0] + a[3] * b[2],
    a[2] * b[1] + a[3] * b[3],
    a[4] * b[0] + a[5] * b[2] + b[4],
    a[4] * b[1] + a[5] * b[3] + b[5],
  ];
}

function numbers(text: string): number[] {
  return text.trim().split(/\s+/).map(Number);
}
