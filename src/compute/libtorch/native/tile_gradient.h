#pragma once
#include "table.h"

namespace patchwise {

// The gradient [kd, kh, kw, from, to] of weights, in floats, by the matrix unit, from x [n, d, h, w, from], which
// has `border` zeros around it that are not stored, and the gradient dy [n, ..., to] of outputs `stride` apart; both in
// bfloat16, or floats. `sums`, if asked for, becomes dy's sums by channel [to], in floats.
Tensor tileGradient(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride, const Size3& border,
                    Tensor* sums);

} // namespace patchwise
