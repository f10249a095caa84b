/** The points of a line; `null` is a gap. */
interface Points {
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

/**
 * Thins a line that goes on growing, in place, to about half of `limit` once it has more points than that. As in
 * `decimate` every spike stays; but the buckets are equally wide in x, so that a line which is thinned again and again
 * keeps the same detail over all of its length.
 */
export function thin(line: { readonly x: number[]; readonly y: (number | null)[] }, limit: number): void {
  const { x, y } = line;
  if (x.length <= limit) return;
  const [first, last] = [x[0]!, x.at(-1)!];
  const buckets = Math.max(1, limit >> 2);
  const width = (last - first) / buckets || 1;
  const keep = [0];
  let from = 1;
  for (let bucket = 1; bucket <= buckets; bucket++) {
    let to = from;
    while (to < x.length - 1 && (bucket === buckets || x[to]! < first + bucket * width)) to++;
    keep.push(...extremes(y, from, to));
    from = to;
  }
  keep.push(x.length - 1);
  const [keptX, keptY] = [keep.map((i) => x[i]!), keep.map((i) => y[i]!)];
  x.length = y.length = keep.length;
  for (const i of keep.keys()) [x[i], y[i]] = [keptX[i]!, keptY[i]!];
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
