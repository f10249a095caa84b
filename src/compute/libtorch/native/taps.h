// Convolutions of any kernel and stride as sums over rows of taps: a row of taps along the width is one contiguous run
// of inputs. Where the processor has a matrix unit it multiplies: bfloat16 as it is, floats in three parts; the
// products are exact, summed in floats, and rounded once as they are stored. Elsewhere floats are computed in vectors.
#pragma once
#include <algorithm>
#include "table.h"

namespace patchwise {

// Whether weights [kd, kh, kw, in, out] at this stride are computed so: whole vectors of channels on both sides.
bool tapsFit(at::IntArrayRef weights, const Size3& stride);

// x [n, d, h, w, from] with zeros around it and weights [kd, kh, kw, from, to] -> y [n, (d - kd) / stride + 1, ...,
// to], of x's type; an undefined bias adds nothing.
Tensor gatherTaps(const Tensor& x, const Tensor& weights, const Size3& stride, const Border& zeros, const Tensor& bias);
// The transpose: every voxel of x spreads over the kernel, `stride` apart; y [n, size..., to] begins `crop` voxels
// inside.
Tensor spreadTaps(const Tensor& x, const Tensor& weights, const Size3& stride, const Size3& crop, const Size3& size,
                  const Tensor& bias);
// The gradient [kd, kh, kw, from, to] of gatherTaps' weights, in floats, from x, which has `border` zeros around it
// that are not stored, and the gradient of y. It leaves dy's sums by channel in `sums`, if that is asked for, where it
// comes by them.
Tensor tapGradient(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride, const Size3& border,
                   Tensor* sums = nullptr);

// Bytes of copies of x, in the order a loop reads it, that are there at a time: little beside x, and beside anything.
inline int64_t copiedAtATime(const Tensor& x) {
  return std::clamp<int64_t>(x.numel() * x.element_size() / 4, 1 << 20, 16 << 20);
}

// Weights [kd, kh, kw, from, to] as [kd, kh, kw, to, from].
Tensor transposedTaps(const Tensor& weights);

// Outputs [first, end) whose tap falls on one of `size` inputs with `border` zeros before them.
struct Reach {
  int64_t first, end;
  Reach(int64_t tap, int64_t stride, int64_t border, int64_t size, int64_t outputs)
      : first(std::max<int64_t>(0, (border - tap + stride - 1) / stride)),
        end(std::min(outputs, (size + border - tap + stride - 1) / stride)) {}
};

} // namespace patchwise
