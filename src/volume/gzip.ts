import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, crc32, deflateRaw } from 'node:zlib';

const compress = promisify(deflateRaw);

/** Long enough that starting a compression costs nothing, short enough that memory stays small. */
const blockBytes = 2 ** 19;
/** The reach of deflate: a match lies at most this far back (RFC 1951). */
const windowBytes = 2 ** 15;

/**
 * Compresses a stream to one gzip member that any program reads. It cuts the stream into blocks, which Node's thread
 * pool compresses at the same time. Each block begins with the 32 KiB before it as its dictionary, so the size is that
 * of one long compression. Memory is a few blocks. You may reuse a piece's array after yielding it.
 * @param level 1 (fast) to 9 (small)
 */
export async function* gzip(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  level: number,
): AsyncGenerator<Uint8Array> {
  // One block for each processor, and one that is written meanwhile. libuv's pool has four threads.
  const atOnce = Math.min(availableParallelism(), 4) + 1;
  const running: Promise<Uint8Array>[] = [];
  let [sum, length] = [0, 0];
  let before: Uint8Array = new Uint8Array(0);
  yield headOf(level);
  try {
    for await (const block of inBlocks(pieces)) {
      sum = crc32(block, sum);
      length += block.length;
      running.push(compressBlock(block, before, level));
      before = block.subarray(-windowBytes);
      if (running.length >= atOnce) yield await running.shift()!;
    }
    while (running.length > 0) yield await running.shift()!;
  } finally {
    // Nobody waits for the blocks after an error or an early end.
    for (const block of running) block.catch(() => {});
  }
  yield tailOf(sum, length);
}

/** Ends with a sync flush: a whole number of bytes, and no end of the stream. */
function compressBlock(block: Uint8Array, before: Uint8Array, level: number): Promise<Uint8Array> {
  return compress(block, {
    level,
    finishFlush: constants.Z_SYNC_FLUSH,
    // Room for the whole result, so that a block is one trip to the pool.
    chunkSize: blockBytes + 2 ** 12,
    ...(before.length > 0 && { dictionary: before }),
  });
}

/** Copies a stream into blocks of equal length; the last one is shorter. */
async function* inBlocks(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let block = Buffer.allocUnsafeSlow(blockBytes);
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + blockBytes - filled);
      block.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < blockBytes) continue;
      yield block;
      block = Buffer.allocUnsafeSlow(blockBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

/** The head of RFC 1952: deflate, no name, no time, the kind of compression, an unknown system. */
function headOf(level: number): Uint8Array {
  const kind = level === 9 ? 2 : level === 1 ? 4 : 0;
  return Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, kind, 255);
}

/** An empty last block, the checksum, and the length modulo 2^32. */
function tailOf(sum: number, length: number): Uint8Array {
  const tail = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  tail.writeUInt32LE(sum, 2);
  tail.writeUInt32LE(length % 2 ** 32, 6);
  return tail;
}
