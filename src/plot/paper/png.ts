import { readFile } from 'node:fs/promises';
import { encodePng } from '../svg/png';
import { fontFile, fontStyles } from './font';
import { POINTS_PER_MM, type Sheet } from './sheet';
import { writeSvg } from './tree';

let started: Promise<typeof import('@resvg/resvg-wasm')> | undefined;

/** A sheet as pixels, opaque, with its resolution noted, so that programs know its size in mm. */
export async function sheetToPng(sheet: Sheet, dpi: number): Promise<Uint8Array> {
  started ??= startResvg();
  const { Resvg } = await started;
  const pixels = pixelsOf(sheet, dpi);
  const font = {
    fontBuffers: fontStyles.map(fontFile),
    defaultFontFamily: 'Arimo',
    sansSerifFamily: 'Arimo',
  };
  const resvg = new Resvg(writeSvg(sheet.root), { font, fitTo: { mode: 'width', value: pixels.width } });
  const image = resvg.render();
  const { width, height } = image;
  const png = encodePng(width, height, withoutAlpha(image.pixels), 3, dpi);
  image.free();
  resvg.free();
  return png;
}

export function pixelsOf({ points }: Pick<Sheet, 'points'>, dpi: number): { width: number; height: number } {
  const count = (length: number): number => Math.max(1, Math.round((length / 72) * dpi));
  return { width: count(points.width), height: count(points.height) };
}

export function mmOf(points: number): number {
  return points / POINTS_PER_MM;
}

/** WebAssembly may be started once in a process. */
async function startResvg() {
  const module = await import('@resvg/resvg-wasm');
  await module.initWasm(await readFile(require.resolve('@resvg/resvg-wasm/index_bg.wasm')));
  return module;
}

/** The background is opaque, so nothing is lost. Some journals refuse a PNG with an alpha channel. */
function withoutAlpha(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from]!;
    rgb[to + 1] = rgba[from + 1]!;
    rgb[to + 2] = rgba[from + 2]!;
  }
  return rgb;
}
