import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/random';
import type { Vec3 } from '../../../src/vec3';
import { allocate, componentBytes, type StoredType } from '../../../src/volume/base/datatypes';
import { crc32c, withChecksum } from '../../../src/volume/crc32c';
import { ChunkDecoder } from '../../../src/volume/store/chunk-decoder';

const random = new Random(5, 'decoder test');
const decoder = new ChunkDecoder();

/** Voxels that repeat, run or are noise: all that LZ4 has a form for. */
function voxels(type: StoredType, length: number, noise: number) {
  const data = allocate(type, length);
  const range = 2 ** (8 * Math.min(2, componentBytes(type)) - 1);
  for (let n = 0; n < length; n++)
    data[n] = Math.floor((n % 37) + (n % 5000 > 3000 ? 9 : 0) + noise * random.next() * range);
  return data;
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

async function encode(bytes: Uint8Array, cname: string, shuffle: number): Promise<Uint8Array> {
  const { default: Blosc } = await import('numcodecs/blosc');
  return Blosc.fromConfig({ id: 'blosc', cname, clevel: 5, shuffle, blocksize: 0 }).encode(bytes);
}

async function decodeWhole(bytes: Uint8Array, type: StoredType, chunk: Vec3): Promise<Float32Array> {
  decoder.begin({ chunk, type, slope: 1, intercept: 0 }, { start: [0, 0, 0], size: chunk });
  await decoder.add(bytes, [0, 0, 0]);
  return decoder.finish().slice();
}

describe('ChunkDecoder', () => {
  const shapes: readonly Vec3[] = [
    [32, 32, 32],
    [32, 32, 7],
    [5, 3, 2],
    [13, 11, 9],
  ];
  // 0 is no shuffle, 1 of bytes, 2 of bits. What our loops do not know goes through numcodecs.
  const codecs = ['lz4', 'lz4hc', 'zstd'].flatMap((cname) =>
    [0, 1, 2].map((shuffle) => [cname, shuffle] as const),
  );

  it.each(codecs)('decodes what C-blosc encoded with %s, shuffle %i', async (cname, shuffle) => {
    for (const type of ['int16', 'uint8', 'float32', 'float64'] as const)
      for (const chunk of shapes)
        for (const noise of [0, 0.01, 1]) {
          const given = voxels(type, chunk[0] * chunk[1] * chunk[2], noise);
          const bytes = await encode(new Uint8Array(given.buffer), cname, shuffle);
          const decoded = await decodeWhole(withChecksum(bytes), type, chunk);
          // A deep comparison of this many numbers would take most of the test's time.
          const same = Buffer.compare(bytesOf(decoded), bytesOf(Float32Array.from(given))) === 0;
          expect(same, `${type} ${chunk} ${noise}`).toBe(true);
        }
  });

  it('scales in double precision and rounds once', async () => {
    const chunk: Vec3 = [7, 5, 3];
    const [slope, intercept] = [0.1234567891234, -1024.000001];
    for (const type of ['int16', 'uint16'] as const) {
      const given = voxels(type, 105, 1);
      decoder.begin({ chunk, type, slope, intercept }, { start: [0, 0, 0], size: chunk });
      await decoder.add(withChecksum(await encode(new Uint8Array(given.buffer), 'lz4', 2)), [0, 0, 0]);
      expect(decoder.finish()).toEqual(Float32Array.from(given, (stored) => stored * slope + intercept));
    }
  });

  it('refuses every damaged chunk, and decodes sound ones as before', async () => {
    const chunk: Vec3 = [16, 16, 16];
    const layout = { chunk, type: 'int16', slope: 1, intercept: 0 } as const;
    const given = voxels('int16', 4096, 0.001);
    const sound = withChecksum(await encode(new Uint8Array(given.buffer), 'lz4', 2));
    for (let n = 0; n < 500; n++) {
      const bytes = sound.slice(0, n % 3 === 0 ? random.below(sound.length) : sound.length);
      if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 + random.below(255);
      decoder.begin(layout, { start: [0, 0, 0], size: chunk });
      await expect(decoder.add(bytes, [0, 0, 0])).rejects.toThrow('checksum');
    }
    expect(await decodeWhole(sound, 'int16', chunk)).toEqual(Float32Array.from(given));
  });

  it('writes nowhere but where it should, whatever the bytes are', async () => {
    const chunk: Vec3 = [16, 16, 16];
    const given = voxels('int16', 4096, 0.001);
    const sound = await encode(new Uint8Array(given.buffer), 'lz4', 2);
    expect(sound.length).toBeLessThan(given.byteLength);
    // A neighbour in the box that a decoder which runs over would spoil.
    const layout = { chunk, type: 'int16', slope: 1, intercept: 0 } as const;
    for (let n = 0; n < 2000; n++) {
      const bytes = sound.slice();
      for (let flips = 1 + random.below(3); flips > 0; flips--)
        bytes[16 + random.below(bytes.length - 16)] = random.below(256);
      decoder.begin(layout, { start: [0, 0, 0], size: [32, 16, 16] });
      await decoder.add(withChecksum(sound), [16, 0, 0]);
      await decoder.add(withChecksum(bytes), [0, 0, 0]).catch(() => {});
      const row = decoder.finish().slice(16, 32);
      expect(bytesOf(row).equals(bytesOf(Float32Array.from(given.subarray(0, 16))))).toBe(true);
    }
  });
});

describe('crc32c', () => {
  it('has the check value of its definition', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  });
});
