import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fontFile } from '../../../src/plot/paper/font';
import { hasChromium, openBrowser } from '../../chromium';
import { skip } from '../../required';
import { figures } from './figures';

const DPI = 150;
const hasBrowser = hasChromium('the comparison of saved pictures');
const hasPoppler = spawnSync('pdftoppm', ['-v']).status === 0;
if (!hasPoppler) skip('poppler', 'the comparison of a PDF with its PNG', 'apt-get install poppler-utils');

/** A browser draws the SVG and poppler the PDF; both must look like the PNG. */
describe.skipIf(!hasBrowser)('the three files of a figure', () => {
  let folder: string;
  let browser: Awaited<ReturnType<typeof openBrowser>>;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'patchwise-alike-'));
    browser = await openBrowser();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true });
  });

  const named = Object.entries(figures);

  it.each(named)('%s: SVG and PNG', async (name, figure) => {
    const [svg, png] = [join(folder, `${name}.svg`), join(folder, `${name}.png`)];
    await figure.save(svg);
    await figure.save(png, { dpi: DPI });
    const { differing, inked } = await compare(asUrl(png, 'png'), withFont(svg));
    expect(inked).toBeGreaterThan(0.005);
    expect(differing).toBeLessThan(0.02);
    expect(browser.requests.filter((url) => !url.startsWith('data:'))).toEqual([]);
  });

  it.skipIf(!hasPoppler).each(named)('%s: PDF and PNG', async (name, figure) => {
    const [pdf, png] = [join(folder, `${name}.pdf`), join(folder, `${name}.png`)];
    await figure.save(pdf);
    await figure.save(png, { dpi: DPI });
    execFileSync('pdftoppm', ['-r', String(DPI), '-png', '-singlefile', pdf, join(folder, `${name}-pdf`)]);
    const { differing } = await compare(asUrl(png, 'png'), asUrl(join(folder, `${name}-pdf.png`), 'png'));
    expect(differing).toBeLessThan(0.01);
  });

  it('another figure is not alike', async () => {
    const [one, other] = [join(folder, 'one.png'), join(folder, 'other.png')];
    await figures.run.save(one, { dpi: DPI });
    await figures.run.save(other, { dpi: DPI, theme: 'dark' });
    expect((await compare(asUrl(one, 'png'), asUrl(other, 'png'))).differing).toBeGreaterThan(0.5);
    await figures['empty run'].save(other, { dpi: DPI });
    expect((await compare(asUrl(one, 'png'), asUrl(other, 'png'))).differing).toBeGreaterThan(0.01);
  });

  /**
   * The share of blocks of 4 x 4 pixels whose mean differs by a fifth of the scale and more, and of those with ink in
   * the first. Means of blocks forgive half a pixel and another font of the same width.
   */
  function compare(first: string, second: string): Promise<{ differing: number; inked: number }> {
    return browser.page.evaluate(
      async ([a, b]) => {
        const BLOCK = 4;
        const load = async (url: string): Promise<HTMLImageElement> => {
          const image = new Image();
          image.src = url;
          await image.decode();
          return image;
        };
        const images = [await load(a!), await load(b!)] as const;
        const { naturalWidth, naturalHeight } = images[0];
        const [width, height] = [Math.floor(naturalWidth / BLOCK), Math.floor(naturalHeight / BLOCK)];
        const blocksOf = (image: HTMLImageElement): Uint8ClampedArray => {
          const whole = new OffscreenCanvas(naturalWidth, naturalHeight).getContext('2d')!;
          whole.drawImage(image, 0, 0, naturalWidth, naturalHeight);
          const { data } = whole.getImageData(0, 0, naturalWidth, naturalHeight);
          const means = new Uint8ClampedArray(width * height * 3);
          for (let y = 0; y < height; y++)
            for (let x = 0; x < width; x++)
              for (let c = 0; c < 3; c++) {
                let sum = 0;
                for (let v = 0; v < BLOCK; v++)
                  for (let u = 0; u < BLOCK; u++)
                    sum += data[4 * ((y * BLOCK + v) * naturalWidth + x * BLOCK + u) + c]!;
                means[3 * (y * width + x) + c] = sum / BLOCK ** 2;
              }
          return means;
        };
        const [one, other] = [blocksOf(images[0]), blocksOf(images[1])];
        let [differing, inked] = [0, 0];
        for (let at = 0; at < one.length; at += 3) {
          const channels = [at, at + 1, at + 2];
          if (channels.some((i) => Math.abs(one[i]! - other[i]!) > 51)) differing++;
          if (channels.some((i) => one[i]! < 200)) inked++;
        }
        return { differing: differing / (width * height), inked: inked / (width * height) };
      },
      [first, second],
    );
  }
});

/** The SVG as a machine with Arial shows it: that of this machine may be wider. */
function withFont(path: string): string {
  const faces = (['regular', 'bold'] as const).map((style) => {
    const source = `url(data:font/ttf;base64,${fontFile(style).toString('base64')})`;
    return `@font-face{font-family:Arial;font-weight:${style === 'bold' ? 700 : 400};src:${source}}`;
  });
  const svg = readFileSync(path, 'utf8').replace('>', `><style>${faces.join('')}</style>`);
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`;
}

function asUrl(path: string, type: string): string {
  return `data:image/${type};base64,${readFileSync(path).toString('base64')}`;
}
