// 3x3x3 convolutions at stride 1 by Winograd's minimal filtering F(2x2x2, 3x3x3) (Lavin & Gray, 2016): 64 products for
// 8 outputs, where the plain way takes 216. Tiles stay in the cache between the transforms and the products, so no
// memory is needed beside the transformed weights.
#pragma once
#include "table.h"

namespace patchwise {

// Whether weights [3, 3, 3, in, out] at this stride are computed by it: whole vectors of channels on both sides.
bool winogradFits(at::IntArrayRef weights, const Size3& stride);

// x [n, d + 2, h + 2, w + 2, in] -> y [n, d, h, w, out], stored as x is; an undefined bias adds nothing. It computes in
// floats whatever is stored: sums of transformed bfloat16 would lose too much.
Tensor winogradConvolve(const Tensor& x, const Tensor& weights, const Tensor& bias);
// dy [n, d, h, w, out] -> the gradient of the bordered x, stored as dy is.
Tensor winogradInputGradient(const Tensor& dy, const Tensor& weights);
// The gradient of weights of the given shape, in floats.
Tensor winogradWeightGradient(const Tensor& x, const Tensor& dy, at::IntArrayRef weights);

} // namespace patchwise
