import { readFileSync } from 'node:fs';

/**
 * Arimo has the widths of Arial and Helvetica, which journals ask for, and is free. It comes with an npm package: a
 * machine may have no font at all.
 */
const FILES = {
  regular: '@expo-google-fonts/arimo/400Regular/Arimo_400Regular.ttf',
  bold: '@expo-google-fonts/arimo/700Bold/Arimo_700Bold.ttf',
} as const;

export type FontStyle = keyof typeof FILES;
export const fontStyles = Object.keys(FILES) as FontStyle[];

/** What an SVG asks for: the first of these that the reader's machine has. They are all equally wide. */
export const FONT_FAMILY = 'Arial, Helvetica, Liberation Sans, Arimo, sans-serif';

const loaded = new Map<FontStyle, Buffer>();

/** A whole TrueType file. */
export function fontFile(style: FontStyle): Buffer {
  const font = loaded.get(style) ?? readFileSync(require.resolve(FILES[style]));
  loaded.set(style, font);
  return font;
}

/** Bold from a weight of 600 on; `bold` is 700. */
export function fontStyle(weight: string | undefined): FontStyle {
  return weight === 'bold' || Number(weight) >= 600 ? 'bold' : 'regular';
}
