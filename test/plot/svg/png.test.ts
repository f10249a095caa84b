import { crc32, inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { encodePng } from '../../../src/plot/svg/png';

/** A decoder of its own: chunks with their checksums, then the filters "none" and "sub". */
function decode(png: Uint8Array): { width: number; height: number; channels: number; pixels: number[] } {
  const bytes = Buffer.from(png);
  expect(bytes.subarray(0, 8)).toEqual(Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'));
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const typed = bytes.subarray(at + 4, at + 8 + length);
    expect(bytes.readUInt32BE(at + 8 + length)).toBe(crc32(typed));
    chunks.set(typed.subarray(0, 4).toString('latin1'), typed.subarray(4));
    at += length + 12;
  }
  expect([...chunks.keys()]).toEqual(['IHDR', 'IDAT', 'IEND']);
  const header = chunks.get('IHDR')!;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const channels = { 0: 1, 2: 3, 6: 4 }[header[9]!]!;
  const raw = inflateSync(chunks.get('IDAT')!);
  const pixels: number[] = [];
  for (let row = 0; row < height; row++) {
    const at = row * (width * channels + 1);
    for (let i = 0; i < width * channels; i++) {
      const left = raw[at] === 1 && i >= channels ? pixels.at(-channels)! : 0;
      pixels.push((raw[at + 1 + i]! + left) & 255);
    }
  }
  return { width, height, channels, pixels };
}

describe('encodePng', () => {
  it.each([1, 3, 4] as const)('%d channels come back as they were', (channels) => {
    const pixels = Uint8Array.from({ length: 5 * 3 * channels }, (_, i) => (i * 37) % 256);
    expect(decode(encodePng(5, 3, pixels, channels))).toEqual({
      width: 5,
      height: 3,
      channels,
      pixels: [...pixels],
    });
  });
});
