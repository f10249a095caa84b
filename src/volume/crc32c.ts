/** CRC-32C (Castagnoli), the checksum of Zarr's chunks and shard indexes. zlib's crc32 has another polynomial. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let n = 0; n < bytes.length; n++) crc = table[(crc ^ bytes[n]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

export const checksumBytes = 4;

/** The checksum at the end of bytes. */
export function checksumOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - checksumBytes, true);
}

/** Bytes followed by their checksum. */
export function withChecksum(bytes: Uint8Array): Uint8Array {
  const all = new Uint8Array(bytes.length + checksumBytes);
  all.set(bytes);
  new DataView(all.buffer).setUint32(bytes.length, crc32c(bytes), true);
  return all;
}
