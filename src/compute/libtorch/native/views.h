// Our tensors [n, d, h, w, c] are what torch calls channels_last_3d, seen in another order of axes: no copy.
#pragma once
#include "aten.h"

namespace patchwise {

// [n, d, h, w, c] as [n, c, d, h, w], and back.
inline at::Tensor channelsFirst(const at::Tensor& x) { return x.permute({0, 4, 1, 2, 3}); }
inline at::Tensor channelsLast(const at::Tensor& x) { return x.permute({0, 2, 3, 4, 1}); }

// Weights [kd, kh, kw, in, out] as torch's [out, in, kd, kh, kw], and back; the transposed convolution's [in, out,
// ...].
inline at::Tensor filterOf(const at::Tensor& w, bool transposed) {
  return transposed ? w.permute({3, 4, 0, 1, 2}) : w.permute({4, 3, 0, 1, 2});
}
inline at::Tensor weightsOf(const at::Tensor& filter, bool transposed) {
  return transposed ? filter.permute({2, 3, 4, 0, 1}) : filter.permute({2, 3, 4, 1, 0});
}

} // namespace patchwise
