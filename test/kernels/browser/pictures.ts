import { inflateSync } from 'node:zlib';
import type { Locator } from 'playwright-core';

/** What a reader sees of an element. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green and blue at a pixel. */
  at(x: number, y: number): [red: number, green: number, blue: number];
  /** A number that any change of a pixel changes. */
  readonly sum: number;
  readonly colours: number;
  /**
   * How many pixels anybody can tell from those of another picture of the same size. A browser smooths the edges of text in
   * either of two ways, and takes the other one when the layers of a page change.
   */
  unlike(other: Picture): number;
}

/** Takes a picture of an element as the browser shows it. */
export async function look(element: Locator): Promise<Picture> {
  return decodePng(await element.screenshot({ animations: 'disabled' }));
}

/** Decodes an RGB or RGBA file of 8 bits, which is what Chromium writes. */
function decodePng(file: Buffer): Picture {
  const width = file.readUInt32BE(16);
  const height = file.readUInt32BE(20);
  const channels = file[25] === 6 ? 4 : 3;
  const parts: Buffer[] = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at))
    if (file.toString('latin1', at + 4, at + 8) === 'IDAT')
      parts.push(file.subarray(at + 8, at + 8 + file.readUInt32BE(at)));
  const raw = inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  const pixels = Buffer.alloc(stride * height);
  for (let row = 0; row < height; row++) {
    const filter = raw[row * (stride + 1)]!;
    for (let i = 0; i < stride; i++) {
      const left = i < channels ? 0 : pixels[row * stride + i - channels]!;
      const up = row === 0 ? 0 : pixels[(row - 1) * stride + i]!;
      const corner = row === 0 || i < channels ? 0 : pixels[(row - 1) * stride + i - channels]!;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]!;
      pixels[row * stride + i] = raw[row * (stride + 1) + 1 + i]! + guess;
    }
  }
  const colours = new Set<number>();
  let sum = 0;
  for (let at = 0; at < pixels.length; at += channels) {
    const colour = pixels.readUIntBE(at, 3);
    colours.add(colour);
    sum = (Math.imul(sum, 31) + colour) | 0;
  }
  const at = (x: number, y: number): [number, number, number] => {
    const from = Math.floor(y) * stride + Math.floor(x) * channels;
    return [pixels[from]!, pixels[from + 1]!, pixels[from + 2]!];
  };
  const unlike = (other: Picture): number => {
    if (other.width !== width || other.height !== height) return Number.POSITIVE_INFINITY;
    let count = 0;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const there = other.at(x, y);
        if (at(x, y).some((value, channel) => Math.abs(value - there[channel]!) > 8)) count++;
      }
    return count;
  };
  return { width, height, at, sum, colours: colours.size, unlike };
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value)) as [number, number, number];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}
