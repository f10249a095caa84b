/**
 * SSIM over 3D gaussian windows, one plane of windows at a time. The four fields are the local means of a, of b, of
 * a² + b² and of ab, in double precision because variances are differences of nearly equal numbers. Filtering along z
 * first reads the two inputs alone and so the least memory.
 */
const TAPS: i32 = 11;

/**
 * Filters the fields along z.
 *
 * @param planes 11 planes of a, then 11 of b, each `size` float32 values (a multiple of 2)
 * @param kernel the weight of each of the 11 planes, float64
 * @param fields where the 4 filtered planes go, float64
 */
export function filterZ(planes: usize, size: i32, kernel: usize, fields: usize): void {
  const plane = (<usize>size) << 2;
  const field = (<usize>size) << 3;
  for (let i = 0; i < size; i += 2) {
    let meanA = f64x2.splat(0);
    let meanB = f64x2.splat(0);
    let squares = f64x2.splat(0);
    let product = f64x2.splat(0);
    let at = planes + ((<usize>i) << 2);
    let weight = kernel;
    for (let k = 0; k < TAPS; k++) {
      const g = v128.load64_splat(weight);
      const a = f64x2.promote_low_f32x4(v128.load64_zero(at));
      const b = f64x2.promote_low_f32x4(v128.load64_zero(at + <usize>TAPS * plane));
      const weightedA = f64x2.mul(g, a);
      const weightedB = f64x2.mul(g, b);
      meanA = f64x2.add(meanA, weightedA);
      meanB = f64x2.add(meanB, weightedB);
      squares = f64x2.add(squares, f64x2.add(f64x2.mul(weightedA, a), f64x2.mul(weightedB, b)));
      product = f64x2.add(product, f64x2.mul(weightedA, b));
      at += plane;
      weight += 8;
    }
    const to = fields + ((<usize>i) << 3);
    v128.store(to, meanA);
    v128.store(to + field, meanB);
    v128.store(to + 2 * field, squares);
    v128.store(to + 3 * field, product);
  }
}

/**
 * Filters the fields along y and x and sums, over all windows that lie in the plane, their SSIM and its second factor
 * alone (contrast and structure, which MS-SSIM takes from the finer scales), and counts the windows. A window in which
 * a has a NaN is left out.
 *
 * @param fields 4 planes of `size` float64 values, rows of `nx`
 * @param kernel the weights from the middle outwards, 6 float64 values
 * @param rows room for 8 rows of nx + 2 float64 values
 * @param sums where the two sums and the count are added, float64
 */
export function sumPlane(
  fields: usize,
  size: i32,
  nx: i32,
  ny: i32,
  kernel: usize,
  rows: usize,
  c1: f64,
  c2: f64,
  sums: usize,
): void {
  const windows = nx - TAPS + 1;
  const row = (<usize>(nx + 2)) << 3;
  const filtered = rows + 4 * row;
  for (let y = 0; y <= ny - TAPS; y++) {
    for (let f = 0; f < 4; f++) {
      const from = fields + ((<usize>(f * size + y * nx)) << 3);
      const between = rows + <usize>f * row;
      filterRow(from, (<usize>nx) << 3, between, nx, kernel);
      filterRow(between, 8, filtered + <usize>f * row, windows, kernel);
    }
    sumRow(filtered, row, windows, c1, c2, sums);
  }
}

/** Writes `n` weighted sums of 11 values that lie `step` bytes apart; an odd last one comes with one too many. */
function filterRow(from: usize, step: usize, to: usize, n: i32, kernel: usize): void {
  const middle = v128.load64_splat(kernel);
  const first = v128.load64_splat(kernel + 8);
  const second = v128.load64_splat(kernel + 16);
  const third = v128.load64_splat(kernel + 24);
  const fourth = v128.load64_splat(kernel + 32);
  const fifth = v128.load64_splat(kernel + 40);
  for (let i = 0; i < n; i += 2) {
    const at = from + ((<usize>i) << 3);
    let sum = f64x2.mul(middle, v128.load(at + 5 * step));
    sum = f64x2.add(sum, f64x2.mul(first, f64x2.add(v128.load(at + 4 * step), v128.load(at + 6 * step))));
    sum = f64x2.add(sum, f64x2.mul(second, f64x2.add(v128.load(at + 3 * step), v128.load(at + 7 * step))));
    sum = f64x2.add(sum, f64x2.mul(third, f64x2.add(v128.load(at + 2 * step), v128.load(at + 8 * step))));
    sum = f64x2.add(sum, f64x2.mul(fourth, f64x2.add(v128.load(at + step), v128.load(at + 9 * step))));
    sum = f64x2.add(sum, f64x2.mul(fifth, f64x2.add(v128.load(at), v128.load(at + 10 * step))));
    v128.store(to + ((<usize>i) << 3), sum);
  }
}

/** Adds the sums over `n` windows, whose fields are rows `row` bytes apart, and their count. */
function sumRow(fields: usize, row: usize, n: i32, c1: f64, c2: f64, sums: usize): void {
  const two = f64x2.splat(2);
  const low = f64x2.splat(c1);
  const high = f64x2.splat(c2);
  let whole = f64x2.splat(0);
  let structures = f64x2.splat(0);
  let windows = f64x2.splat(0);
  for (let i = 0; i < n; i += 2) {
    const at = fields + ((<usize>i) << 3);
    const meanA = v128.load(at);
    const meanB = v128.load(at + row);
    const means = f64x2.mul(meanA, meanB);
    const power = f64x2.add(f64x2.mul(meanA, meanA), f64x2.mul(meanB, meanB));
    const covariance = f64x2.sub(v128.load(at + 3 * row), means);
    const variances = f64x2.sub(v128.load(at + 2 * row), power);
    const structure = f64x2.div(f64x2.add(f64x2.mul(two, covariance), high), f64x2.add(variances, high));
    let counts = f64x2.eq(meanA, meanA);
    // An odd last window comes with a neighbour that is none.
    if (i + 1 === n) counts = i64x2.replace_lane(counts, 1, 0);
    const luminance = f64x2.div(f64x2.add(f64x2.mul(two, means), low), f64x2.add(power, low));
    structures = f64x2.add(structures, v128.and(structure, counts));
    whole = f64x2.add(whole, v128.and(f64x2.mul(luminance, structure), counts));
    windows = f64x2.add(windows, v128.and(f64x2.splat(1), counts));
  }
  store<f64>(sums, load<f64>(sums) + f64x2.extract_lane(whole, 0) + f64x2.extract_lane(whole, 1));
  store<f64>(
    sums + 8,
    load<f64>(sums + 8) + f64x2.extract_lane(structures, 0) + f64x2.extract_lane(structures, 1),
  );
  store<f64>(
    sums + 16,
    load<f64>(sums + 16) + f64x2.extract_lane(windows, 0) + f64x2.extract_lane(windows, 1),
  );
}
