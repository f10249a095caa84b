/**
 * The inner loop of blending: adds the rows of a patch, weighted, to rows of a slab. Window weights are separable, so
 * a row needs one scalar and the weights along x; where no other patch covers a row's voxels they are 1, and where
 * the scalar is 1 too the row is copied.
 */
export interface RowWindow {
  /** Weights along x, each repeated for every channel. */
  readonly weights: Float32Array;
  /** The values of the row inside the volume, [first, end). */
  readonly first: number;
  readonly end: number;
  /** The values within them whose weight along x is exactly 1, [coreFirst, coreEnd). */
  readonly coreFirst: number;
  readonly coreEnd: number;
}

/** Prepares the weights of a patch along x, of which [first, end) are inside the volume. */
export function rowWindow(
  weights: Float32Array,
  inside: readonly [number, number],
  channels: number,
): RowWindow {
  let coreFirst = inside[0];
  while (coreFirst < inside[1] && weights[coreFirst] !== 1) coreFirst++;
  let coreEnd = coreFirst;
  while (coreEnd < inside[1] && weights[coreEnd] === 1) coreEnd++;
  const repeated = new Float32Array(weights.length * channels);
  for (let i = 0; i < repeated.length; i++) repeated[i] = weights[Math.floor(i / channels)]!;
  return {
    weights: repeated,
    first: inside[0] * channels,
    end: inside[1] * channels,
    coreFirst: coreFirst * channels,
    coreEnd: coreEnd * channels,
  };
}

/** Adds `scalar * weights * row` to `slab`; both offsets are those of the row's value 0, which may lie in the padding. */
export function addRow(
  slab: Float32Array,
  to: number,
  patch: Float32Array,
  from: number,
  scalar: number,
  row: RowWindow,
): void {
  if (scalar === 0) return;
  addWeighted(slab, to, patch, from, scalar, row.weights, row.first, row.coreFirst);
  if (scalar === 1) {
    slab.set(patch.subarray(from + row.coreFirst, from + row.coreEnd), to + row.coreFirst);
  } else {
    addScaled(slab, to + row.coreFirst, patch, from + row.coreFirst, scalar, row.coreEnd - row.coreFirst);
  }
  addWeighted(slab, to, patch, from, scalar, row.weights, row.coreEnd, row.end);
}

function addScaled(
  slab: Float32Array,
  to: number,
  patch: Float32Array,
  from: number,
  scalar: number,
  n: number,
) {
  for (let i = 0; i < n; i++) slab[to + i] = slab[to + i]! + scalar * patch[from + i]!;
}

function addWeighted(
  slab: Float32Array,
  to: number,
  patch: Float32Array,
  from: number,
  scalar: number,
  weights: Float32Array,
  first: number,
  end: number,
) {
  for (let i = first; i < end; i++) slab[to + i] = slab[to + i]! + scalar * weights[i]! * patch[from + i]!;
}
