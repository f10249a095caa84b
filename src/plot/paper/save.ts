import { extname } from 'node:path';
import { replaceFile, writeTo } from '../../atomic-file';
import { InvalidArgument } from '../../errors';
import type { PlainFigure, Trace } from '../base/layout';
import { drawnTypes } from '../svg/figure';
import { sheetToPdf } from './pdf';
import { mmOf, pixelsOf, sheetToPng } from './png';
import { largestFontPt, layOut, type Sheet, type Theme, themes, usualFontPt } from './sheet';
import { writeSvg } from './tree';
import { type ChosenWindow, inWindow } from './window';

/** How a figure is saved. */
export interface SaveOptions {
  /** Width on the page in mm. Default 180, two columns of most journals; one column has 80 to 90. */
  readonly widthMm?: number;
  /**
   * Size of the text in points; that of the axes is up to a point smaller. Default 7, and less below 130 mm, where words
   * would run into each other.
   */
  readonly fontPt?: number;
  /** Pixels per inch of a PNG. Default 300. SVG and PDF have lines and letters instead of pixels. */
  readonly dpi?: number;
  /** `light` is black ink on white, the default; `dark` is for slides. */
  readonly theme?: Theme;
  /**
   * Window of the slices, if not the first: the name of one of the figure's buttons, such as `lung`, or [low, high] in the
   * volume's units.
   */
  readonly window?: ChosenWindow;
  /** Another title than the figure's; `''` leaves it out, for a figure with a caption. */
  readonly title?: string;
}

interface Named extends PlainFigure {
  readonly summary: string;
}

const formats: Readonly<
  Record<string, (sheet: Sheet, dpi: number, title: string) => Promise<string | Uint8Array>>
> = {
  '.svg': async ({ root }) => writeSvg(root),
  '.png': (sheet, dpi) => sheetToPng(sheet, dpi),
  '.pdf': (sheet, _, title) => sheetToPdf(sheet, title),
};

/** A PNG of this many pixels takes some seconds and 1 GB, which WebAssembly keeps. */
const MOST_PIXELS = 64e6;

/** Saves a figure for paper; see `Figure.save`. */
export async function saveFigure(figure: Named, path: string, options: SaveOptions = {}): Promise<void> {
  const format = formats[extname(String(path)).toLowerCase()];
  if (!format) {
    const allowed = Object.keys(formats);
    throw new InvalidArgument('path', 'the name of a file that ends in .svg, .png or .pdf', path, allowed);
  }
  const { widthMm = 180, dpi = 300, theme = 'light', title, window } = options;
  within('widthMm', 'a width', 'mm', widthMm, 20, 2000);
  const { fontPt = usualFontPt(widthMm) } = options;
  within('fontPt', `a size of text for ${widthMm} mm`, 'points', fontPt, 1, largestFontPt(widthMm));
  within('dpi', 'a resolution', 'pixels per inch', dpi, 10, 2400);
  if (!(theme in themes)) throw new InvalidArgument('theme', 'a theme', theme, Object.keys(themes));
  const { data, layout } = figure;
  checkTraces(data);
  const shown = { data, layout: window === undefined ? layout : inWindow(layout, window) };
  const sheet = layOut(shown, { widthMm, fontPt, theme, title });
  if (format === formats['.png']) checkPixels(sheet, dpi);
  const content = await format(sheet, dpi, title || figure.summary.split('\n')[0]!);
  writeTo('path', path, () => replaceFile(path, content));
}

/** What would be missing in the file must not go unseen. */
function checkTraces(data: readonly Trace[]): void {
  const seen = data.filter(({ visible }) => visible !== false && visible !== 'legendonly');
  const strange = seen.find(({ type }) => !drawnTypes.includes(type));
  if (strange) throw new InvalidArgument('figure', 'traces that can be saved', strange.type, drawnTypes);
  if (seen.length === 0) throw new InvalidArgument('figure', 'at least one trace that is seen', data);
}

function within(option: string, what: string, unit: string, value: unknown, low: number, high: number): void {
  if (typeof value === 'number' && value >= low && value <= high) return;
  throw new InvalidArgument(option, `${what} of ${low} to ${Math.floor(high)} ${unit}`, value);
}

function checkPixels(sheet: Sheet, dpi: number): void {
  const { width, height } = pixelsOf(sheet, dpi);
  if (width * height <= MOST_PIXELS) return;
  const most = Math.floor(dpi * Math.sqrt(MOST_PIXELS / (width * height)));
  const [across, down] = [sheet.points.width, sheet.points.height].map((points) => Math.round(mmOf(points)));
  throw new InvalidArgument(
    'dpi',
    `at most ${most} for a figure of ${across} x ${down} mm (a PDF has no pixels)`,
    dpi,
  );
}
