import { describe, expect, it } from 'vitest';
import { encodePng } from '../../../src/plot/svg/png';
import { readPng } from './read-png';

describe('encodePng', () => {
  it.each([1, 3, 4] as const)('%d channels come back as they were', (channels) => {
    const pixels = Uint8Array.from({ length: 5 * 3 * channels }, (_, i) => (i * 37) % 256);
    const png = readPng(encodePng(5, 3, pixels, channels));
    expect(png).toMatchObject({ width: 5, height: 3, channels, chunks: ['IHDR', 'IDAT', 'IEND'] });
    const read = [0, 1, 2].flatMap((y) => [0, 1, 2, 3, 4].flatMap((x) => png.at(x, y)));
    expect(read).toEqual([...pixels]);
  });

  it('notes its resolution before its pixels', () => {
    const png = readPng(encodePng(1, 1, new Uint8Array(1), 1, 254));
    expect(png).toMatchObject({ pixelsPerMetre: 10_000, chunks: ['IHDR', 'pHYs', 'IDAT', 'IEND'] });
  });
});
