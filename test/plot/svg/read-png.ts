import { crc32, inflateSync } from 'node:zlib';

export interface ReadPng {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** The names of its chunks, in their order. */
  readonly chunks: readonly string[];
  /** Of the pHYs chunk, if there is one. */
  readonly pixelsPerMetre?: number;
  /** The channels of a pixel. */
  at(x: number, y: number): number[];
}

/** A decoder of its own: chunks with their checksums, then the filters "none" and "sub". Throws for anything else. */
export function readPng(file: Uint8Array): ReadPng {
  const bytes = Buffer.from(file);
  if (bytes.subarray(0, 8).toString('latin1') !== '\x89PNG\r\n\x1a\n') throw new Error('no PNG');
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const typed = bytes.subarray(at + 4, at + 8 + length);
    if (bytes.readUInt32BE(at + 8 + length) !== crc32(typed)) throw new Error('a damaged chunk');
    chunks.set(typed.subarray(0, 4).toString('latin1'), typed.subarray(4));
    at += length + 12;
  }
  const header = chunks.get('IHDR')!;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const channels = { 0: 1, 2: 3, 6: 4 }[header[9]!]!;
  const stride = width * channels;
  const raw = inflateSync(chunks.get('IDAT')!);
  const pixels = new Uint8Array(stride * height);
  for (let row = 0; row < height; row++) {
    const filter = raw[row * (stride + 1)]!;
    if (filter > 1) throw new Error(`filter ${filter}`);
    for (let i = 0; i < stride; i++) {
      const left = filter === 1 && i >= channels ? pixels[row * stride + i - channels]! : 0;
      pixels[row * stride + i] = raw[row * (stride + 1) + 1 + i]! + left;
    }
  }
  const resolution = chunks.get('pHYs');
  return {
    width,
    height,
    channels,
    chunks: [...chunks.keys()],
    ...(resolution && { pixelsPerMetre: resolution.readUInt32BE(0) }),
    at: (x, y) => [...pixels.subarray(y * stride + x * channels, y * stride + (x + 1) * channels)],
  };
}
