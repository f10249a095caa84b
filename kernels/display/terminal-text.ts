/**
 * Text as a terminal shows it: lines that were written over by `\r` and `\b`, and colours. Cursor movements between
 * lines are left out, as JupyterLab leaves them out.
 */
import { escapeHtml } from '../../src/escape';

/** Text of one look: the attributes of its `span`, '' for plain text. */
interface Piece {
  readonly text: string;
  readonly look: string;
}

type Line = readonly Piece[];

const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

/** Shades that can be read on light and on dark paper. */
const SHADES = ['#555d66', '#c0392b', '#1e8449', '#9a7d0a', '#2874c8', '#8e44ad', '#0e7c86', '#8a939c'];

export const TERMINAL_STYLE = `
.bold { font-weight: 600; } .dim { opacity: 0.7; } .italic { font-style: italic; } .underline { text-decoration: underline; }
.inverse { background: var(--ink); color: var(--paper); }
${COLOURS.map((name, n) => `.fg-${name} { color: ${SHADES[n]}; } .bg-${name} { background: ${SHADES[n]}; }`).join('\n')}
`;

/** The text without colours. */
export function terminalText(text: string): string {
  return terminalLines(text).map(textOf).join('\n');
}

/** The text as HTML for a `pre`; of more than `longest` characters the middle is left out, and the page says so. */
export function terminalHtml(text: string, longest: number): string {
  return cut(terminalLines(text), longest).map(htmlOf).join('\n');
}

function textOf(line: Line): string {
  return line.map(({ text }) => text).join('');
}

function htmlOf(line: Line): string {
  return line
    .map(({ text, look }) => (look ? `<span ${look}>${escapeHtml(text)}</span>` : escapeHtml(text)))
    .join('');
}

/** Sequences that a terminal obeys: those that end in a letter (colours, erasing), titles and links, single characters. */
const CONTROLS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  /\u001b\[([0-9;:?]*)[ -/]*([@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[^[\]]?|[\u0000-\u0008\u000b-\u001f\u007f]/g;

function terminalLines(text: string): Line[] {
  const pen = new Pen();
  return text.split('\n').map((line) => writeLine(line, pen));
}

function writeLine(line: string, pen: Pen): Line {
  const screen = new ScreenLine();
  let done = 0;
  for (const found of line.matchAll(CONTROLS)) {
    screen.put(line.slice(done, found.index), pen.look);
    done = found.index + found[0].length;
    const [control, parameters = '', letter] = found;
    if (control === '\r') screen.at = 0;
    else if (control === '\b') screen.at = Math.max(0, screen.at - 1);
    else if (letter === 'm') pen.obey(parameters);
    else if (letter === 'K') screen.erase(Number(parameters) || 0);
  }
  screen.put(line.slice(done), pen.look);
  return screen.pieces();
}

/** One line with a cursor. */
class ScreenLine {
  at = 0;
  #pieces: Piece[] = [];
  #length = 0;

  /** Writes at the cursor, over what is there. */
  put(text: string, look: string): void {
    if (text === '') return;
    const end = this.at + text.length;
    if (this.at === this.#length) this.#pieces.push({ text, look });
    else this.#pieces = [...this.#slice(0, this.at), { text, look }, ...this.#slice(end, this.#length)];
    this.#length = Math.max(this.#length, end);
    this.at = end;
  }

  /** @param what 0: from the cursor on, 1: up to the cursor, 2: all */
  erase(what: number): void {
    const blank = { text: ' '.repeat(this.at), look: '' };
    const before = what === 0 ? this.#slice(0, this.at) : [blank];
    this.#pieces = [...before, ...(what === 1 ? this.#slice(this.at, this.#length) : [])];
    if (what !== 1) this.#length = this.at;
  }

  pieces(): Line {
    return this.#pieces;
  }

  #slice(from: number, to: number): Piece[] {
    let at = 0;
    return this.#pieces.flatMap(({ text, look }) => {
      const part = text.slice(Math.max(0, from - at), Math.max(0, to - at));
      at += text.length;
      return part ? [{ text: part, look }] : [];
    });
  }
}

const MARKS: Readonly<Record<number, string>> = {
  1: 'bold',
  2: 'dim',
  3: 'italic',
  4: 'underline',
  7: 'inverse',
};
type Ground = 'fg' | 'bg';
/** By the tens of a colour's code: 30 to 37 and 90 to 97 for the text, 40 to 47 and 100 to 107 for what is behind it. */
const GROUNDS: Readonly<Record<number, Ground>> = { 3: 'fg', 9: 'fg', 4: 'bg', 10: 'bg' };

/** What the colour sequences (SGR) so far ask for. */
class Pen {
  look = '';
  readonly #marks = new Set<string>();
  #colours: { readonly [G in Ground]?: string | undefined } = {};

  obey(parameters: string): void {
    const codes = parameters.split(/[;:]/).map(Number);
    for (let n = 0; n < codes.length; n++) n += this.#obey(codes, n);
    this.look = this.#attributes();
  }

  /** Returns how many of the codes after code number `n` belong to it. */
  #obey(codes: readonly number[], n: number): number {
    const code = codes[n]!;
    const [mark, ground, unit] = [MARKS[code], GROUNDS[Math.floor(code / 10)], code % 10];
    if (code === 0) {
      this.#marks.clear();
      this.#colours = {};
    } else if (mark) this.#marks.add(mark);
    else if (code >= 22 && code <= 27)
      for (const ended of code === 22 ? ['bold', 'dim'] : [MARKS[code - 20] ?? '']) this.#marks.delete(ended);
    else if ((code === 38 || code === 48) && ground) return this.#palette(codes.slice(n + 1, n + 5), ground);
    else if ((code === 39 || code === 49) && ground) this.#paint(ground, undefined);
    else if (ground && COLOURS[unit]) this.#paint(ground, COLOURS[unit]);
    return 0;
  }

  #paint(ground: Ground, colour: string | undefined): void {
    this.#colours = { ...this.#colours, [ground]: colour };
  }

  #palette([kind, index, ...values]: readonly number[], ground: Ground): number {
    if (kind === 2) {
      this.#paint(ground, hex([index ?? 0, ...values]));
      return 4;
    }
    if (kind !== 5 || index === undefined) return 0;
    this.#paint(ground, index < 16 ? COLOURS[index % 8] : hex(paletteColour(index)));
    return 2;
  }

  #attributes(): string {
    const classes = [...this.#marks];
    const styles: string[] = [];
    for (const ground of ['fg', 'bg'] as const) {
      const colour = this.#colours[ground];
      if (colour?.startsWith('#')) styles.push(`${ground === 'fg' ? 'color' : 'background'}:${colour}`);
      else if (colour) classes.push(`${ground}-${colour}`);
    }
    return [
      ...(classes.length > 0 ? [`class="${classes.join(' ')}"`] : []),
      ...(styles.length > 0 ? [`style="${styles.join(';')}"`] : []),
    ].join(' ');
  }
}

/** The colours 16 to 255 of xterm: a cube of 6 x 6 x 6, then 24 greys. */
function paletteColour(index: number): number[] {
  if (index >= 232) return Array(3).fill(8 + 10 * (index - 232));
  const place = index - 16;
  return [Math.floor(place / 36), Math.floor(place / 6) % 6, place % 6].map((step) =>
    step ? 55 + 40 * step : 0,
  );
}

function hex(rgb: readonly number[]): string {
  return `#${Buffer.from(Uint8ClampedArray.from(rgb)).toString('hex')}`;
}

/** The first and the last of the lines, of `longest` characters in all, with a line between them that says so. */
function cut(lines: readonly Line[], longest: number): Line[] {
  const total = lines.reduce((sum, line) => sum + textOf(line).length + 1, 0);
  if (total <= longest) return [...lines];
  const head = upTo(lines, longest / 2, (line, room) => sliced(line, 0, room));
  const tail = upTo(lines.toReversed(), longest / 2, (line, room) => sliced(line, -room)).reverse();
  const kept = [...head, ...tail].reduce((sum, line) => sum + textOf(line).length + 1, 0);
  const note = `... ${(total - kept).toLocaleString('en')} characters are left out here: the notebook has them ...`;
  return [...head, [{ text: note, look: 'class="italic"' }], ...tail];
}

function upTo(lines: readonly Line[], room: number, part: (line: Line, room: number) => Line): Line[] {
  const kept: Line[] = [];
  let left = Math.floor(room);
  for (const line of lines) {
    if (left <= 0) break;
    const { length } = textOf(line);
    kept.push(length <= left ? line : part(line, left));
    left -= length + 1;
  }
  return kept;
}

/** A line that is too long by itself loses its looks. */
function sliced(line: Line, from: number, to?: number): Line {
  return [{ text: textOf(line).slice(from, to), look: '' }];
}
