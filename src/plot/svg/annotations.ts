import type { Layout } from '../base/layout';
import type { AxisPair, Box } from './axes';
import { element, plainText, text } from './elements';

/** The words that a layout puts on its paper, into a panel, or at a value of an axis. */
export function annotationsSvg(layout: Layout, pairs: readonly AxisPair[], paper: Box): string[] {
  const all = (layout.annotations ?? []) as readonly Layout[];
  return all.filter(({ visible }) => visible !== false).map((note) => annotationSvg(note, pairs, paper));
}

function annotationSvg(note: Layout, pairs: readonly AxisPair[], paper: Box): string {
  const { size, color } = { size: 12, ...(note.font as { size?: number; color?: string } | undefined) };
  const anchor = anchors[String(note.xanchor ?? 'center')] ?? 'middle';
  const lines = String(note.text ?? '')
    .split(/<br\s*\/?>/)
    .map(plainText);
  const step = 1.3 * size;
  const longest = lines.reduce((long, line) => (line.length > long.length ? line : long), '');
  const x = position(note, 'x', pairs, paper) + Number(note.xshift ?? 0);
  const y = position(note, 'y', pairs, paper) - Number(note.yshift ?? 0);
  // The lines lie above, around or below their point.
  const hangs = { top: 0, bottom: 1 }[String(note.yanchor)] ?? 0.5;
  const first =
    y - hangs * step * (lines.length - 1) + (drops[String(note.yanchor ?? 'middle')] ?? 0.35) * size;
  const pad = note.bgcolor ? 3 : 0;
  const dx = anchor === 'start' ? pad : anchor === 'end' ? -pad : 0;
  const look = { 'text-anchor': anchor, 'font-size': size, fill: color };
  const words = lines.map((line, at) => text(line, x + dx, first + at * step, look));
  return backdrop(note, longest, x, y, size, anchor) + words.join('');
}

function backdrop(note: Layout, label: string, x: number, y: number, size: number, anchor: string): string {
  if (!note.bgcolor) return '';
  const width = label.length * size * 0.62 + 6;
  const left = anchor === 'start' ? x : anchor === 'end' ? x - width : x - width / 2;
  const top = note.yanchor === 'top' ? y : note.yanchor === 'bottom' ? y - size - 4 : y - size / 2 - 2;
  return element('rect', { x: left, y: top, width, height: size + 4, fill: note.bgcolor });
}

/** Where an annotation is, in pixels: on the paper, within a panel, or at a value of an axis. */
function position(note: Layout, letter: 'x' | 'y', pairs: readonly AxisPair[], paper: Box): number {
  const reference = String(note[`${letter}ref`] ?? 'paper');
  const axis = reference.replace(' domain', '');
  const pair = pairs.find((one) => one[letter] === axis);
  const value = note[letter];
  if (pair && !reference.endsWith('domain')) return letter === 'x' ? pair.px(value) : pair.py(value);
  const box = pair && reference.endsWith('domain') ? pair.box : paper;
  const fraction = typeof value === 'number' ? value : 0;
  return letter === 'x' ? box.left + fraction * box.width : box.top + (1 - fraction) * box.height;
}

const anchors: Record<string, string> = { left: 'start', center: 'middle', right: 'end' };
/** How far below its anchor the baseline lies, in font sizes. */
const drops: Record<string, number> = { top: 1, middle: 0.35, bottom: -0.35 };
