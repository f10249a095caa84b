// Convolutions of bfloat16 volumes by the processor's matrix unit: products are rounded once, as they are stored, and
// summed in floats. A row of taps along the width is one contiguous run of inputs, so no input is copied.
#pragma once
#include "table.h"

namespace patchwise {

// Whether weights [kd, kh, kw, in, out] at this stride are computed by it: whole vectors of channels on both sides.
bool tilesFit(at::IntArrayRef weights, const Size3& stride);

// x [n, d, h, w, from] and weights [kd, kh, kw, from, to] -> y [n, (d - kd) / stride + 1, ..., to]; an undefined bias
// adds nothing.
Tensor tileGather(const Tensor& x, const Tensor& weights, const Size3& stride, const Tensor& bias);
// The transpose: every voxel of x spreads over the kernel, `stride` apart; y [n, size..., to] begins `crop` voxels inside.
Tensor tileSpread(const Tensor& x, const Tensor& weights, const Size3& stride, const Size3& crop, const Size3& size,
                  const Tensor& bias);
// The gradient [kd, kh, kw, from, to] of tileGather's weights, in floats, from x and the gradient of y.
Tensor tileWeightGradient(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride);

// x [n, d, h, w, c] in bfloat16 with zeros before and after.
Tensor zeroBordered(const Tensor& x, const Size3& before, const Size3& after);

} // namespace patchwise
