// Convolutions of any kernel and stride as sums over rows of taps. A row of taps along the width is one contiguous run of
// inputs, so no input is copied. Floats are computed in vectors, bfloat16 by the processor's matrix unit: its products
// are exact, summed in floats, and rounded once as they are stored.
#pragma once
#include "table.h"

namespace patchwise {

// Whether weights [kd, kh, kw, in, out] at this stride are computed so: whole vectors of channels on both sides.
bool tapsFit(at::IntArrayRef weights, const Size3& stride);

// x [n, d, h, w, from] and weights [kd, kh, kw, from, to] -> y [n, (d - kd) / stride + 1, ..., to], of x's type; an
// undefined bias adds nothing.
Tensor gatherTaps(const Tensor& x, const Tensor& weights, const Size3& stride, const Tensor& bias);
// The transpose: every voxel of x spreads over the kernel, `stride` apart; y [n, size..., to] begins `crop` voxels inside.
Tensor spreadTaps(const Tensor& x, const Tensor& weights, const Size3& stride, const Size3& crop, const Size3& size,
                  const Tensor& bias);
// The gradient [kd, kh, kw, from, to] of gatherTaps' weights, in floats, from x, which has `border` zeros around it that
// are not stored, and the gradient of y.
Tensor tapGradient(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride, const Size3& border);

// x [n, d, h, w, c] with zeros before and after.
Tensor zeroBordered(const Tensor& x, const Size3& before, const Size3& after);

} // namespace patchwise
