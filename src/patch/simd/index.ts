/**
 * Adds a plane of a patch to a plane of a slab: slab[y, x] += weightZ * weightsY[y] * weightsX[x] * patch[y, x].
 *
 * Before it, `clearBytes` from `clear` on are set to zero: a plane is about to be in the cache here, so that this costs
 * nearly nothing. All addresses are in bytes; `width` and the rows' lengths are in values, so that channels count as
 * more voxels.
 */
export function addPlane(
  slab: usize,
  slabRow: usize,
  patch: usize,
  patchRow: usize,
  rows: i32,
  width: i32,
  weightsX: usize,
  weightsY: usize,
  weightZ: f32,
  clear: usize,
  clearBytes: usize,
): void {
  if (clearBytes > 0) memory.fill(clear, 0, clearBytes);
  const body = width & ~7;
  for (let y = 0; y < rows; y++) {
    const scalar = weightZ * load<f32>(weightsY + ((<usize>y) << 2));
    const four = f32x4.splat(scalar);
    let to = slab + <usize>y * (slabRow << 2);
    let from = patch + <usize>y * (patchRow << 2);
    let weights = weightsX;
    let x = 0;
    for (; x < body; x += 8) {
      v128.store(to, weighted(to, from, four, weights));
      v128.store(to + 16, weighted(to + 16, from + 16, four, weights + 16));
      to += 32;
      from += 32;
      weights += 32;
    }
    for (; x < width; x++) {
      store<f32>(to, load<f32>(to) + scalar * load<f32>(weights) * load<f32>(from));
      to += 4;
      from += 4;
      weights += 4;
    }
  }
}

function weighted(to: usize, from: usize, scalar: v128, weights: usize): v128 {
  return f32x4.add(v128.load(to), f32x4.mul(f32x4.mul(scalar, v128.load(weights)), v128.load(from)));
}

/** Copies rows of `bytes` bytes, so many to a plane and so many planes, between places whose rows and planes lie so far apart. */
export function copyBox(
  to: usize,
  toRow: usize,
  toPlane: usize,
  from: usize,
  fromRow: usize,
  fromPlane: usize,
  bytes: usize,
  rows: i32,
  planes: i32,
): void {
  for (let z = 0; z < planes; z++) {
    for (let y = 0; y < rows; y++) memory.copy(to + <usize>y * toRow, from + <usize>y * fromRow, bytes);
    to += toPlane;
    from += fromPlane;
  }
}
