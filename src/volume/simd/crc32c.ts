/** Eight tables of 256: the effect of a byte on the checksum 0 to 7 bytes later ("slicing by 8", Intel, 2006). */
const tables: usize = memory.data(8 * 256 * 4, 16);
let filled: bool = false;

function fill(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
    store<u32>(tables + ((<usize>byte) << 2), value);
  }
  for (let table: usize = 1; table < 8; table++)
    for (let byte: usize = 0; byte < 256; byte++) {
      const before = load<u32>(tables + (((table - 1) * 256 + byte) << 2));
      const value = load<u32>(tables + ((<usize>(before & 0xff)) << 2)) ^ (before >>> 8);
      store<u32>(tables + ((table * 256 + byte) << 2), value);
    }
  filled = true;
}

function entry(table: usize, byte: u32): u32 {
  return load<u32>(tables + (table << 10) + ((<usize>(byte & 0xff)) << 2));
}

/** CRC-32C of bytes, eight bytes at a time. */
export function crc32c(from: usize, length: i32): u32 {
  if (!filled) fill();
  let crc: u32 = 0xffffffff;
  const end = from + <usize>length;
  let at = from;
  for (; at + 8 <= end; at += 8) {
    const low = load<u32>(at) ^ crc;
    const high = load<u32>(at, 4);
    crc =
      entry(7, low) ^
      entry(6, low >>> 8) ^
      entry(5, low >>> 16) ^
      entry(4, low >>> 24) ^
      entry(3, high) ^
      entry(2, high >>> 8) ^
      entry(1, high >>> 16) ^
      entry(0, high >>> 24);
  }
  for (; at < end; at++) crc = entry(0, crc ^ <u32>load<u8>(at)) ^ (crc >>> 8);
  return crc ^ 0xffffffff;
}
