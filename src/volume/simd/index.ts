/**
 * Decodes the chunks of our datasets: blosc (version 2 of its format) with LZ4 and bitshuffle. It refuses anything else, and
 * the caller uses numcodecs' decoder, which knows all of blosc.
 *
 * Addresses are in bytes. The loops copy whole vectors past the last byte, so every buffer needs `slack` more bytes.
 */
import { decodeLz4 } from './lz4';

export { crc32c } from './crc32c';
export { placeInt16 } from './place';

import { unshuffleBits } from './unshuffle';

const headerBytes: i32 = 16;
const byteShuffled: i32 = 0x1;
const stored: i32 = 0x2;
const bitShuffled: i32 = 0x4;
const unsplit: i32 = 0x10;
const lz4: i32 = 1;

/** The result for a refused chunk. */
const refused: i32 = -1;

/** First byte that the caller may use. */
export function heap(): usize {
  return __heap_base;
}

/**
 * @param from address of the compressed chunk, `length` bytes
 * @param to address of the result, `size` bytes
 * @param scratch address of space for two blocks: 2 x (size + slack)
 * @returns `size`, or -1 if it refuses the chunk
 */
export function decode(from: usize, length: i32, to: usize, size: i32, scratch: usize): i32 {
  if (length < headerBytes || load<u8>(from) !== 2) return refused;
  const flags = <i32>load<u8>(from, 2);
  const typeSize = <i32>load<u8>(from, 3);
  const blockSize = load<i32>(from, 8);
  if (load<i32>(from, 4) !== size || load<i32>(from, 12) !== length || blockSize <= 0) return refused;
  if (flags & stored) {
    if (length !== headerBytes + size) return refused;
    memory.copy(to, from + headerBytes, size);
    return size;
  }
  if (flags >> 5 !== lz4 || flags & byteShuffled) return refused;
  const shuffled = (flags & bitShuffled) !== 0;
  if (shuffled && typeSize !== 1 && typeSize !== 2 && typeSize !== 4) return refused;
  const blocks = (size + blockSize - 1) / blockSize;
  if (length - headerBytes < blocks * 4) return refused;
  for (let block = 0; block < blocks; block++) {
    const bytes = min(blockSize, size - block * blockSize);
    // Bitshuffle works on eight elements; blosc leaves a rest unshuffled, and we leave such blocks to numcodecs.
    if (shuffled && bytes % (8 * typeSize) !== 0) return refused;
    const splits = flags & unsplit || bytes < blockSize ? 1 : typeSize;
    const target = to + <usize>(block * blockSize);
    const plain = shuffled ? scratch : target;
    const start = load<i32>(from + <usize>(headerBytes + block * 4));
    if (!decodeBlock(from, start, length, plain, bytes, splits)) return refused;
    if (shuffled) unshuffleBits(plain, target, bytes, typeSize, scratch + <usize>bytes + 64);
  }
  return size;
}

/** A block is one or more streams, each after its length. A stream as long as its content is not compressed. */
function decodeBlock(from: usize, start: i32, length: i32, to: usize, bytes: i32, splits: i32): bool {
  if (bytes % splits !== 0) return false;
  const part = bytes / splits;
  let at = start;
  for (let split = 0; split < splits; split++) {
    if (at < headerBytes || at > length - 4) return false;
    const compressed = load<i32>(from + <usize>at);
    at += 4;
    if (compressed < 0 || compressed > length - at) return false;
    const target = to + <usize>(split * part);
    if (compressed === part) memory.copy(target, from + <usize>at, part);
    else if (!decodeLz4(from + <usize>at, compressed, target, part)) return false;
    at += compressed;
  }
  return true;
}
