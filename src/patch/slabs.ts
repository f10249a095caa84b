import type { Grid } from './grid';

/** Planes of a volume that the same layers of patches cover, so that they become final together. */
export interface SlabPlan {
  readonly z: number;
  readonly depth: number;
  /** The layers of patches (places along z) that cover the planes, both inclusive. */
  readonly firstLayer: number;
  readonly lastLayer: number;
  /** Number of patches in these layers. */
  readonly patches: number;
}

/** Cuts a volume at the first and last planes of its layers of patches, and again so that no slab is deeper than `most`. */
export function planSlabs(grid: Grid, most: number): readonly SlabPlan[] {
  const depth = grid.volume[2];
  const starts = grid.starts[2];
  const ends = starts.map((start) => start + grid.patch[2]);
  const inside = [...starts, ...ends].map((z) => Math.min(Math.max(z, 0), depth));
  const cuts = [...new Set(inside)].sort((a, b) => a - b);
  return cuts.slice(0, -1).flatMap((first, i) => {
    const end = cuts[i + 1]!;
    const firstLayer = ends.findIndex((layerEnd) => layerEnd > first);
    const lastLayer = starts.findLastIndex((start) => start <= first);
    const patches = (lastLayer - firstLayer + 1) * grid.counts[0] * grid.counts[1];
    const parts = Math.ceil((end - first) / most);
    return Array.from({ length: parts }, (_, part) => {
      const z = first + Math.floor((part * (end - first)) / parts);
      const next = first + Math.floor(((part + 1) * (end - first)) / parts);
      return { z, depth: next - z, firstLayer, lastLayer, patches };
    });
  });
}
