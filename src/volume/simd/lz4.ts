/**
 * Decodes one LZ4 block (lz4_Block_format.md): a token with the lengths of literals and match, the literals, and the
 * match's offset back into the output. It checks every length before it touches bytes. Returns false if one is wrong.
 */
export function decodeLz4(from: usize, length: i32, to: usize, size: i32): bool {
  const end = from + <usize>length;
  const targetEnd = to + <usize>size;
  let source = from;
  let target = to;
  while (source < end) {
    const token = <usize>load<u8>(source++);
    let literals = token >> 4;
    if (literals === 15) {
      let more: usize;
      do {
        if (source >= end) return false;
        more = <usize>load<u8>(source++);
        literals += more;
      } while (more === 255);
    }
    if (literals > end - source || literals > targetEnd - target) return false;
    if (literals <= 16) v128.store(target, v128.load(source));
    else memory.copy(target, source, literals);
    source += literals;
    target += literals;
    // The last sequence has only literals.
    if (source === end) return target === targetEnd;
    if (end - source < 2) return false;
    const offset = <usize>load<u16>(source);
    source += 2;
    let match = (token & 15) + 4;
    if (match === 19) {
      let more: usize;
      do {
        if (source >= end) return false;
        more = <usize>load<u8>(source++);
        match += more;
      } while (more === 255);
    }
    if (offset === 0 || offset > target - to || match > targetEnd - target) return false;
    copyMatch(target, offset, match);
    target += match;
  }
  return false;
}

/** A match may overlap its own output; then its bytes repeat every `offset`. */
function copyMatch(target: usize, offset: usize, length: usize): void {
  const stop = target + length;
  if (offset === 1) {
    const value = v128.splat<u8>(load<u8>(target - 1));
    for (; target < stop; target += 16) v128.store(target, value);
    return;
  }
  let back = offset;
  if (offset < 16) {
    // Byte by byte until the output holds whole periods of at least 16 bytes, then by vectors.
    back = offset * ((15 + offset) / offset);
    const slow = min(stop, target + back - offset);
    for (; target < slow; target++) store<u8>(target, load<u8>(target - offset));
  }
  for (; target < stop; target += 16) v128.store(target, v128.load(target - back));
}
