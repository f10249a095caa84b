import type { PlainFigure } from '../base/layout';
import { hairline, ink, TEXT, wash } from '../base/theme';
import { figureToSvg } from '../svg/figure';
import { FONT_FAMILY } from './font';
import { closeGaps } from './gaps';
import { type Node, numberOf, readSvg } from './tree';

export type Theme = keyof typeof themes;

/** Ink for paper and for dark slides. A screen's own greys suit both there, and are too pale for print. */
export const themes = {
  light: { background: '#ffffff', ink: '#1a1a1a', hairline: '#dcdcdc', wash: '#f1f1f1' },
  dark: { background: '#111111', ink: '#e8e8e8', hairline: '#3c3c3c', wash: '#262626' },
} as const;

/** A picture that is ready for a page. Lengths within it are in pixels. */
export interface Sheet {
  readonly root: Node;
  readonly width: number;
  readonly height: number;
  readonly points: { readonly width: number; readonly height: number };
}

export interface SheetOptions {
  readonly widthMm: number;
  /** Size of the ordinary text. */
  readonly fontPt: number;
  readonly theme: Theme;
  readonly title?: string | undefined;
}

export const POINTS_PER_MM = 72 / 25.4;
/** Below these widths in pixels headings and numbers run into each other, and there is no room for a panel. */
const NARROW = 640;
const NARROWEST = 240;

/** The ordinary text of a figure that is so wide: 7 points, and less where they would run into each other. */
export function usualFontPt(widthMm: number): number {
  return Math.min(7, fontPtAt(widthMm, NARROW));
}

/** The largest text that leaves room for a panel. */
export function largestFontPt(widthMm: number): number {
  return fontPtAt(widthMm, NARROWEST);
}

function fontPtAt(widthMm: number, pixels: number): number {
  return (TEXT * widthMm * POINTS_PER_MM) / pixels;
}

/**
 * Lays a figure out for a sheet of this width, with text of this size, as a cell of a notebook would: a narrower sheet
 * has narrower panels, not smaller letters.
 */
export function layOut({ data, layout }: PlainFigure, options: SheetOptions): Sheet {
  const { widthMm, fontPt, title } = options;
  const theme = themes[options.theme];
  const scale = fontPt / TEXT;
  const width = (widthMm * POINTS_PER_MM) / scale;
  const titled =
    title === undefined ? layout : { ...layout, title: { ...(layout.title as object), text: title } };
  const fineness = { most: Number.POSITIVE_INFINITY, sharp: 2, shades: 160 };
  const svg = figureToSvg({ data, layout: titled }, { width, fineness });
  const drawn = inked(readSvg(svg), { [ink]: theme.ink, [hairline]: theme.hairline, [wash]: theme.wash });
  const { nodes, height } = closeGaps(drawn.children, numberOf(drawn, 'font-size', TEXT));
  const paper = { width: String(width), height: String(height), fill: theme.background };
  const attributes = {
    ...drawn.attributes,
    width: `${widthMm}mm`,
    height: `${((height * scale) / POINTS_PER_MM).toFixed(3)}mm`,
    viewBox: `0 0 ${width} ${height}`,
    'font-family': FONT_FAMILY,
    fill: theme.ink,
  };
  const background: Node = { name: 'rect', attributes: paper, children: [], text: '' };
  return {
    root: { ...drawn, attributes, children: [background, ...nodes] },
    width,
    height,
    points: { width: width * scale, height: height * scale },
  };
}

/** The same in a theme's ink. Pictures lose their style: viewers smooth them, and large voxels stay sharp all the same. */
function inked(node: Node, inks: Readonly<Record<string, string>>): Node {
  const { style: _, ...attributes } = node.attributes as Record<string, string>;
  for (const key of ['fill', 'stroke']) {
    const color = attributes[key];
    if (color !== undefined) attributes[key] = inks[color] ?? color;
  }
  return { ...node, attributes, children: node.children.map((child) => inked(child, inks)) };
}
