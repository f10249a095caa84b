/** How many values each lane adds in single precision before its sum goes on in double: an error under 1e-6. */
const RUN: i32 = 8;
/** Values of a run of four vectors of four lanes, whose sums do not wait for each other. */
const RUN_VALUES: i32 = 16 * RUN;

/**
 * Adds the absolute and the squared errors of two arrays of `n` float32 values to two float64 sums, and raises a third
 * to the greatest absolute error, NaN left out. Errors are taken and added in single precision over short runs, for a
 * conversion of every value would take most of the time.
 */
export function sumErrors(a: usize, b: usize, n: i32, sums: usize): void {
  let absolute = f64x2.splat(0);
  let squared = f64x2.splat(0);
  let most0 = f32x4.splat(0);
  let most1 = f32x4.splat(0);
  const body = n - (n % RUN_VALUES);
  for (let i = 0; i < body; i += RUN_VALUES) {
    let abs0 = f32x4.splat(0);
    let abs1 = f32x4.splat(0);
    let square0 = f32x4.splat(0);
    let square1 = f32x4.splat(0);
    const end = a + ((<usize>RUN_VALUES) << 2);
    for (; a < end; a += 64, b += 64) {
      const error0 = f32x4.sub(v128.load(b), v128.load(a));
      const error1 = f32x4.sub(v128.load(b, 16), v128.load(a, 16));
      const error2 = f32x4.sub(v128.load(b, 32), v128.load(a, 32));
      const error3 = f32x4.sub(v128.load(b, 48), v128.load(a, 48));
      const size0 = f32x4.abs(error0);
      const size1 = f32x4.abs(error1);
      const size2 = f32x4.abs(error2);
      const size3 = f32x4.abs(error3);
      abs0 = f32x4.add(abs0, f32x4.add(size0, size1));
      abs1 = f32x4.add(abs1, f32x4.add(size2, size3));
      most0 = f32x4.pmax(most0, f32x4.pmax(size0, size1));
      most1 = f32x4.pmax(most1, f32x4.pmax(size2, size3));
      square0 = f32x4.add(square0, f32x4.add(f32x4.mul(error0, error0), f32x4.mul(error1, error1)));
      square1 = f32x4.add(square1, f32x4.add(f32x4.mul(error2, error2), f32x4.mul(error3, error3)));
    }
    absolute = f64x2.add(absolute, doubles(f32x4.add(abs0, abs1)));
    squared = f64x2.add(squared, doubles(f32x4.add(square0, square1)));
  }
  let absoluteSum = f64x2.extract_lane(absolute, 0) + f64x2.extract_lane(absolute, 1);
  let squaredSum = f64x2.extract_lane(squared, 0) + f64x2.extract_lane(squared, 1);
  const most4 = f32x4.pmax(most0, most1);
  const most2 = f32x4.pmax(most4, v128.shuffle<i32>(most4, most4, 2, 3, 0, 1));
  let most = <f64>max(f32x4.extract_lane(most2, 0), f32x4.extract_lane(most2, 1));
  for (let i = body; i < n; i++, a += 4, b += 4) {
    const error = abs(<f64>load<f32>(b) - <f64>load<f32>(a));
    absoluteSum += error;
    squaredSum += error * error;
    if (error > most) most = error;
  }
  store<f64>(sums, load<f64>(sums) + absoluteSum);
  store<f64>(sums + 8, load<f64>(sums + 8) + squaredSum);
  store<f64>(sums + 16, max(load<f64>(sums + 16), most));
}

/** Four float32 values as two float64 sums of two. */
function doubles(values: v128): v128 {
  const upper = v128.shuffle<i32>(values, values, 2, 3, 2, 3);
  return f64x2.add(f64x2.promote_low_f32x4(values), f64x2.promote_low_f32x4(upper));
}
