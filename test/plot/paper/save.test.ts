import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidArgument } from '../../../src/errors';
import { Figure } from '../../../src/plot/figure/figure';
import type { SaveOptions } from '../../../src/plot/paper/save';
import { volumeFigure } from '../../../src/plot/volume/figure';
import { intensityPresets } from '../../../src/volume/intensity';
import { volumeOf } from '../samples';
import { readPng } from '../svg/read-png';
import { checkXml } from '../xml';
import { figures } from './figures';
import { type PdfText, readPdf } from './read-pdf';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchwise-save-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Saves a figure; returns the bytes of the file. */
async function saved(figure: Figure, name: string, options?: SaveOptions): Promise<Buffer> {
  const path = join(folder, name);
  await figure.save(path, options);
  return readFileSync(path);
}

/** The words of an SVG's texts, in the order of the file. */
function wordsOf(svg: string): string[] {
  const texts = [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)];
  return texts.map(([, text]) => text!.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))));
}

describe('every kind of figure', () => {
  it.each(Object.entries(figures))('%s is an SVG that stands alone', async (name, figure) => {
    const svg = (await saved(figure, `${name}.svg`)).toString();
    expect(() => checkXml(svg)).not.toThrow();
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="180mm" height="[\d.]+mm"/);
    const links = [...svg.matchAll(/(?:href|src|url)\W+(.{11})/g)].map(([, target]) => target);
    expect(links.filter((target) => target !== 'data:image/')).toEqual([]);
    expect(svg).not.toMatch(/#767f8c|rgba\(128,136,148/);
  });

  it.each(Object.entries(figures))('%s is a PDF with the words of the SVG', async (name, figure) => {
    const svg = (await saved(figure, `${name}.svg`)).toString();
    const pdf = readPdf(await saved(figure, `${name}.pdf`));
    expect(pdf.pages).toBe(1);
    expect(pdf.size[0]).toBeCloseTo((180 / 25.4) * 72, 3);
    const [, heightMm] = /height="([\d.]+)mm"/.exec(svg)!;
    expect(pdf.size[1]).toBeCloseTo((Number(heightMm) / 25.4) * 72, 2);
    expect(pdf.texts.map(({ text }) => text)).toEqual(wordsOf(svg));
    for (const { text, left, top, size, width, isTurned } of pdf.texts) {
      expect(left, text).toBeGreaterThan(0);
      expect(left + (isTurned ? 0 : width), text).toBeLessThan(pdf.size[0]!);
      expect(top, text).toBeGreaterThan(size * 0.6);
      expect(top, text).toBeLessThan(pdf.size[1]!);
    }
    expect([...pdf.fonts.keys()].filter((font) => !font.startsWith('Arimo-'))).toEqual([]);
    for (const [font, bytes] of pdf.fonts) expect(bytes, font).toBeGreaterThan(500);
    expect(pdf.images).toHaveLength((svg.match(/<image /g) ?? []).length);
  });

  it.each(Object.entries(figures))(
    '%s has no words over others, on one column or two',
    async (name, figure) => {
      for (const widthMm of [180, 131, 85]) {
        const { texts } = readPdf(await saved(figure, `${name}.pdf`, { widthMm }));
        const level = texts.filter(({ isTurned }) => !isTurned);
        const over = level.flatMap((one, i) => level.slice(i + 1).filter((other) => overlap(one, other)));
        expect(
          over.map(({ text }) => text),
          `${widthMm} mm`,
        ).toEqual([]);
      }
    },
  );

  it.each(Object.entries(figures))('%s is a PNG of 300 dpi, with ink on white', async (name, figure) => {
    const pdf = readPdf(await saved(figure, `${name}.pdf`));
    const png = readPng(await saved(figure, `${name}.png`));
    expect(png).toMatchObject({ width: 2126, channels: 3, pixelsPerMetre: 11811 });
    expect(png.height).toBeCloseTo((pdf.size[1]! / 72) * 300, -0.5);
    expect(png.at(0, 0)).toEqual([255, 255, 255]);
    expect(png.at(png.width - 1, png.height - 1)).toEqual([255, 255, 255]);
    // Where the PDF has words, the PNG has dark pixels: text is never blank, whatever fonts the machine has.
    for (const { text, left, top, size } of pdf.texts.filter(
      ({ text, isTurned }) => text.trim().length > 1 && !isTurned,
    )) {
      const pixels = region(png, left, top - 0.7 * size, size, 0.7 * size);
      expect(Math.max(...pixels.map(darkness)), text).toBeGreaterThan(100);
    }
  });
});

/** Whether the letters of two texts touch; they reach from the baseline up to 0.7 of their size. */
function overlap(a: PdfText, b: PdfText): boolean {
  const across = a.left < b.left + b.width && b.left < a.left + a.width;
  return across && a.top - 0.7 * a.size < b.top && b.top - 0.7 * b.size < a.top;
}

/** The pixels of a part of a page, given in points. */
function region(png: ReturnType<typeof readPng>, left: number, top: number, width: number, height: number) {
  const px = (points: number): number => Math.round((points / 72) * 300);
  const pixels: number[][] = [];
  for (let y = px(top); y < px(top + height); y++)
    for (let x = px(left); x < px(left + width); x++)
      if (x >= 0 && y >= 0 && x < png.width && y < png.height) pixels.push(png.at(x, y));
  return pixels;
}

function darkness(pixel: readonly number[]): number {
  return 255 - Math.min(...pixel);
}

describe('pictures', () => {
  it('keep every voxel of a slice in a PDF', async () => {
    const values = [0, 1, 2, 3].map((row) => [0, 1, 2].map((column) => 10 * row + column));
    const scale = [
      [0, '#000000'],
      [1, '#ffffff'],
    ];
    const trace = { type: 'heatmap', z: values, zmin: 0, zmax: 255, colorscale: scale };
    const pdf = readPdf(await saved(new Figure([trace], {}, 'four rows'), 'rows.pdf'));
    const [{ width, height, channels, rows }] = pdf.images as [(typeof pdf.images)[number]];
    expect(channels).toBe(1);
    expect([width % 3, height % 4]).toEqual([0, 0]);
    // Undo the filter "sub" of each row, then read the middle of each voxel.
    const grey = (row: number, column: number): number => {
      const y = Math.floor(((3 - row + 0.5) * height) / 4); // the first row lies at the bottom
      const upTo = Math.floor(((column + 0.5) * width) / 3);
      const from = y * (width + 1) + 1;
      return rows.subarray(from, from + upTo + 1).reduce((sum, step) => (sum + step) & 255, 0);
    };
    expect(values.map((_, row) => [0, 1, 2].map((column) => grey(row, column)))).toEqual(values);
  });

  it('are as large as the volume, also where the screen gets every second voxel', async () => {
    const long = volumeOf([600, 40, 30], (x, y, z) => (x * 7 + y * 5 + z * 3) % 1000);
    const { images } = readPdf(await saved(volumeFigure(long), 'long.pdf'));
    const [axial, coronal, sagittal] = images.map(({ width, height }) => [width, height]);
    expect([axial, coronal]).toEqual([
      [600, 40],
      [600, 30],
    ]);
    expect(sagittal![0]! / sagittal![1]!).toBe(40 / 30);
  });

  it('have sharp voxels where these are large', async () => {
    const colors = [
      [0, '#ff0000'],
      [1, '#0000ff'],
    ];
    const trace = { type: 'heatmap', z: [[0, 1]], zmin: 0, zmax: 1, colorscale: colors };
    const layout = { height: 200, margin: { l: 0, r: 0, t: 0, b: 0 }, xaxis: { visible: false } };
    const png = readPng(await saved(new Figure([trace], layout, 'two cells'), 'two.png'));
    const y = Math.floor(png.height / 2);
    const row = Array.from({ length: png.width }, (_, x) => png.at(x, y));
    const mixed = row.filter(([r, g, b]) => g! < 100 && r! > 40 && b! > 40);
    expect(mixed.length).toBeLessThan(6);
    expect(row.filter(([r, g]) => r! > 200 && g! < 50).length).toBeGreaterThan(png.width / 3);
  });
});

describe('options', () => {
  const { grid, run } = figures;

  it('set the width on the page, and the pixels with the resolution', async () => {
    const png = readPng(await saved(grid, 'narrow.png', { widthMm: 85, dpi: 600 }));
    expect(png).toMatchObject({ width: Math.round((85 / 25.4) * 600), pixelsPerMetre: 23622 });
    const pdf = readPdf(await saved(grid, 'narrow.pdf', { widthMm: 85 }));
    expect(pdf.size[0]).toBeCloseTo((85 / 25.4) * 72, 3);
  });

  it('set the size of the text, which the width does not change', async () => {
    const sizes = async (options: SaveOptions) =>
      readPdf(await saved(run, 'sized.pdf', options)).texts.find(({ text }) => text === 'loss')!.size;
    expect(await sizes({})).toBeCloseTo(7, 1);
    expect(await sizes({ widthMm: 140 })).toBeCloseTo(7, 1);
    expect(await sizes({ widthMm: 140, fontPt: 9 })).toBeCloseTo(9, 1);
    expect(await sizes({ widthMm: 85 })).toBeCloseTo((12 * 85 * 72) / 25.4 / 640, 1);
  });

  it('give another title or none', async () => {
    const words = async (title?: string) =>
      wordsOf((await saved(grid, 'titled.svg', title === undefined ? {} : { title })).toString());
    const own = (grid.layout.title as { text: string }).text;
    expect(await words()).toContain(own);
    const [other, none] = [await words('mine & "yours"'), await words('')];
    expect(other).toContain('mine & "yours"');
    expect([...other, ...none]).not.toContain(own);
    expect(readPdf(await saved(grid, 'titled.pdf', { title: 'π × Δ' })).title).toBe('π × Δ');
    expect(readPdf(await saved(grid, 'titled.pdf', { title: '' })).title).toBe(grid.summary.split('\n')[0]);
  });

  it('show the slices in another window', async () => {
    const ramp = volumeFigure(volumeOf([24, 20, 12], (x) => -1000 + 100 * x)); // windows for Hounsfield units
    // The first row of the axial slice up to the voxel at x = 10, which has 0 HU. The patient's right is at the left.
    const grey = async (options: SaveOptions) => {
      const { images } = readPdf(await saved(ramp, 'window.pdf', options));
      const [{ width, rows }] = images as [(typeof images)[number]];
      const upTo = Math.floor(((23 - 10 + 0.5) * width) / 24);
      return rows.subarray(1, 2 + upTo).reduce((sum, step) => (sum + step) & 255, 0);
    };
    const share = ([low, high]: readonly [number, number]) => Math.round((255 * (0 - low)) / (high - low));
    expect(await grey({})).toBe(share(intensityPresets.ctpa));
    expect(await grey({ window: 'lung' })).toBe(share(intensityPresets.lung));
    expect(await grey({ window: [-100, 400] })).toBe(51);
    const unknown = ramp.save(join(folder, 'window.pdf'), { window: 'bones' });
    await expect(unknown).rejects.toMatchObject({
      argument: 'window',
      allowed: expect.arrayContaining(['lung']),
    });
    const reversed = ramp.save(join(folder, 'window.pdf'), { window: [400, -100] });
    await expect(reversed).rejects.toThrow(/low below high/);
    await expect(run.save(join(folder, 'window.pdf'), { window: [0, 1] })).rejects.toThrow(
      /a figure of a volume/,
    );
  });

  it('draw light ink on a dark slide', async () => {
    const png = readPng(await saved(grid, 'dark.png', { theme: 'dark' }));
    expect(png.at(0, 0)).toEqual([17, 17, 17]);
    const brightest = Math.max(...region(png, 5, 0, 200, 15).map((pixel) => Math.min(...pixel)));
    expect(brightest).toBeGreaterThan(220);
  });

  it.each<[SaveOptions, string]>([
    [{ widthMm: 1 }, 'widthMm'],
    [{ widthMm: Number.NaN }, 'widthMm'],
    [{ widthMm: '180' as unknown as number }, 'widthMm'],
    [{ fontPt: 0 }, 'fontPt'],
    [{ fontPt: 40 }, 'fontPt'],
    [{ dpi: 0 }, 'dpi'],
    [{ dpi: 2400, widthMm: 400 }, 'dpi'],
    [{ theme: 'sepia' as 'light' }, 'theme'],
  ])('refuse %o', async (options, argument) => {
    const attempt = grid.save(join(folder, 'refused.png'), options);
    await expect(attempt).rejects.toMatchObject({ tag: 'InvalidArgument', argument });
    expect(readdirSync(folder)).not.toContain('refused.png');
  });

  it('say the largest resolution where a picture would be too large', async () => {
    const error = await grid.save(join(folder, 'huge.png'), { dpi: 2400, widthMm: 400 }).catch(String);
    const [, most] = /at most (\d+) for a figure of 400 x \d+ mm/.exec(error as string)!;
    expect(Number(most)).toBeGreaterThan(600);
    expect(Number(most)).toBeLessThan(2400);
  });
});

describe('the file', () => {
  const { grid } = figures;

  it.each(['figure', 'figure.jpg', 'figure.svg.txt', '', '.pdf'])('cannot be called "%s"', async (name) => {
    const attempt = grid.save(name === '' ? '' : join(folder, name));
    await expect(attempt).rejects.toMatchObject({
      tag: 'InvalidArgument',
      argument: 'path',
      allowed: ['.svg', '.png', '.pdf'],
    });
  });

  it('may have its ending in capitals', async () => {
    expect((await saved(grid, 'LOUD.PDF')).subarray(0, 5).toString()).toBe('%PDF-');
  });

  it('replaces the one that was there, and leaves nothing beside it', async () => {
    writeFileSync(join(folder, 'again.svg'), 'before');
    expect((await saved(grid, 'again.svg')).toString()).toMatch(/^<svg /);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('needs a folder that is there and may be written', async () => {
    const nowhere = grid.save(join(folder, 'missing', 'a.svg'));
    await expect(nowhere).rejects.toThrow(/path: .*its folder does not exist/);
    await expect(nowhere).rejects.toBeInstanceOf(InvalidArgument);
    writeFileSync(join(folder, 'file'), '');
    await expect(grid.save(join(folder, 'file', 'a.svg'))).rejects.toThrow(/a file stands where a folder/);
    await expect(grid.save('/proc/a.svg')).rejects.toBeInstanceOf(InvalidArgument);
    const locked = mkdtempSync(join(folder, 'locked-'));
    chmodSync(locked, 0o500);
    if (process.getuid?.() !== 0)
      await expect(grid.save(join(locked, 'a.svg'))).rejects.toThrow(/permission is denied/);
  });
});

describe('a figure of your own', () => {
  it('is refused where it shows nothing, or what only Plotly can draw', async () => {
    const path = join(folder, 'own.svg');
    const [empty, hidden] = [[], [{ type: 'scatter', visible: false, y: [1] }]];
    for (const data of [empty, hidden])
      await expect(new Figure(data, {}, '').save(path)).rejects.toThrow(/figure: .*at least one trace/);
    const surface = new Figure([{ type: 'surface', z: [[1]] }], {}, '').save(path);
    await expect(surface).rejects.toMatchObject({
      tag: 'InvalidArgument',
      received: 'surface',
      allowed: expect.arrayContaining(['scatter', 'heatmap']),
    });
  });

  it('keeps its colours, however CSS writes them', async () => {
    const trace = { type: 'bar', x: ['a'], y: [1], marker: { color: 'rgba(255,0,0,0.5)' } };
    const layout = { height: 300, yaxis: { visible: false } };
    const png = readPng(await saved(new Figure([trace], layout, 'a bar'), 'own.png', { dpi: 72 }));
    const [red, green, blue] = png.at(Math.floor(png.width / 2), Math.floor(png.height / 2));
    expect(red).toBe(255);
    for (const half of [green!, blue!]) expect(Math.abs(half - 127.5)).toBeLessThan(2);
    const pdf = readPdf(await saved(new Figure([trace], layout, 'a bar'), 'own.pdf'));
    expect(pdf.painted.get('f')).toBeGreaterThan(1);
  });
});

it('the PDF of a run is lines, without a picture', async () => {
  const { images, painted } = readPdf(await saved(figures.run, 'lines.pdf'));
  expect(images).toEqual([]);
  expect(painted.get('S')).toBeGreaterThan(20);
});
