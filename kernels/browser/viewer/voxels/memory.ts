/**
 * The memory of viewers that are out of sight. They keep what came from the kernel until all of it together is too much
 * for a page; then those that left first forget theirs, and ask for it again when they come back.
 */

export interface Hidden {
  readonly bytes: number;
  forget(): void;
}

const MOST_BYTES = 2 ** 30;
/** Those that left first come first. */
const hidden = new Set<Hidden>();

export function hide(viewer: Hidden, most = MOST_BYTES): void {
  hidden.delete(viewer);
  hidden.add(viewer);
  const all = [...hidden];
  let bytes = all.reduce((sum, one) => sum + one.bytes, 0);
  for (const one of all) {
    if (bytes <= most) return;
    bytes -= one.bytes;
    one.forget();
    hidden.delete(one);
  }
}

/** The viewer is in sight again, or gone. */
export function unhide(viewer: Hidden): void {
  hidden.delete(viewer);
}
