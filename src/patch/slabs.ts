import type { Grid } from './grid';

/** Planes of a volume that the same layers of patches cover, and so become final together. */
export interface SlabPlan {
  readonly z: number;
  readonly depth: number;
  /** The layers of patches (places along z) that cover the planes, both inclusive. */
  readonly firstLayer: number;
  readonly lastLayer: number;
  /** Number of patches in these layers. */
  readonly patches: number;
}

/** Cuts a volume into slabs at the first and last planes of its layers of patches, in ascending z. */
export function planSlabs(grid: Grid): readonly SlabPlan[] {
  const depth = grid.volume[2];
  const starts = grid.starts[2];
  const ends = starts.map((start) => start + grid.patch[2]);
  const inside = [...starts, ...ends].map((z) => Math.min(Math.max(z, 0), depth));
  const cuts = [...new Set(inside)].sort((a, b) => a - b);
  return cuts.slice(0, -1).map((z, i) => {
    const firstLayer = ends.findIndex((end) => end > z);
    const lastLayer = starts.findLastIndex((start) => start <= z);
    const layers = lastLayer - firstLayer + 1;
    return {
      z,
      depth: cuts[i + 1]! - z,
      firstLayer,
      lastLayer,
      patches: layers * grid.counts[0] * grid.counts[1],
    };
  });
}
