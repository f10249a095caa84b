/** The points of a line; `null` is a gap. */
export interface Points {
  readonly x: readonly number[];
  readonly y: readonly (number | null)[];
}

/**
 * Thins a line to about `limit` points and keeps every spike: of each bucket the lowest and the highest point stay,
 * in their order, and so do the first and the last point of the line. A gap in a bucket stays a gap.
 */
export function decimate({ x, y }: Points, limit = 2000): Points {
  if (x.length <= limit) return { x, y };
  const buckets = Math.max(1, Math.floor((limit - 2) / 2));
  const inner = x.length - 2;
  const keep = [0];
  for (let bucket = 0; bucket < buckets; bucket++) {
    const from = 1 + Math.floor((bucket * inner) / buckets);
    const to = 1 + Math.floor(((bucket + 1) * inner) / buckets);
    keep.push(...extremes(y, from, to));
  }
  keep.push(x.length - 1);
  return { x: keep.map((i) => x[i]!), y: keep.map((i) => y[i]!) };
}

function extremes(y: readonly (number | null)[], from: number, to: number): number[] {
  let low = -1;
  let high = -1;
  let gap = -1;
  for (let i = from; i < to; i++) {
    const value = y[i];
    if (value === null || value === undefined || !Number.isFinite(value)) gap = i;
    else {
      if (low < 0 || value < y[low]!) low = i;
      if (high < 0 || value > y[high]!) high = i;
    }
  }
  return [...new Set([low, high, gap])].filter((i) => i >= 0).sort((a, b) => a - b);
}
