/** SiLU, v * sigmoid(v), and its derivative, on four lanes. */

export function silu(v: v128): v128 {
  return f32x4.mul(v, sigmoid(v));
}

export function siluGradient(v: v128): v128 {
  const s = sigmoid(v);
  const one = f32x4.splat(1);
  return f32x4.mul(s, f32x4.add(one, f32x4.mul(v, f32x4.sub(one, s))));
}

function sigmoid(v: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp(f32x4.neg(v))));
}

/**
 * e^v = 2^k * e^r with |r| <= ln(2) / 2, by the polynomial of Cephes' expf (relative error about 1e-7). Beyond
 * +-87 the result is that at 87: sigmoid is 0 or 1 there to single precision. NaN stays NaN.
 */
function exp(v: v128): v128 {
  const limited = f32x4.pmax(f32x4.pmin(v, f32x4.splat(87)), f32x4.splat(-87));
  const k = f32x4.nearest(f32x4.mul(limited, f32x4.splat(1.44269504088896341)));
  let r = f32x4.sub(limited, f32x4.mul(k, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(k, f32x4.splat(-2.12194440e-4)));
  let p = f32x4.splat(1.9875691500e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  p = f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), f32x4.add(r, f32x4.splat(1)));
  const exponent = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(k), i32x4.splat(127)), 23);
  return f32x4.mul(p, exponent);
}
