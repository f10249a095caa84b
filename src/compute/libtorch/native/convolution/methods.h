// Our own ways to convolve on the CPU. Tensors are [n, d, h, w, c], weights [kd, kh, kw, in, out]. An undefined bias adds
// nothing. `*Fits` tells which weights and strides a way takes.
#pragma once
#include <algorithm>
#include "binding/table.h"

namespace patchwise {

// ---- Winograd's minimal filtering F(2x2x2, 3x3x3) (Lavin & Gray, 2016), for 3x3x3 kernels at stride 1: 64 products for
// 8 outputs, where the plain way takes 216. Tiles stay in the cache between the transforms and the products, so it needs
// no memory beside the transformed weights. It computes in floats whatever is stored: sums of transformed bfloat16 would
// lose too much.

bool winogradFits(at::IntArrayRef weights, const Size3& stride); // whole vectors of channels on both sides
// x [n, d + 2, h + 2, w + 2, in] -> y [n, d, h, w, out], stored as x is.
Tensor winogradConvolve(const Tensor& x, const Tensor& weights, const Tensor& bias);
// The gradient of the bordered x, stored as dy is.
Tensor winogradInputGradient(const Tensor& dy, const Tensor& weights);
// The gradient of weights of the given shape, in floats.
Tensor winogradWeightGradient(const Tensor& x, const Tensor& dy, at::IntArrayRef weights);

// ---- Thin: 3x3x3 at stride 1 with one channel on one side, as in the first and the last convolution of a model of CT.
// oneDNN pads the one channel to sixteen, which is sixteen times the work. The one channel is always in floats.

enum class Thin { kNo, kIn, kOut }; // one input or one output channel

Thin thinFits(const Tensor& weights, const Size3& stride);
// x [n, d + 2, h + 2, w + 2, in] -> y [n, d, h, w, out], stored as `type`.
Tensor thinConvolve(const Tensor& x, const Tensor& weights, const Tensor& bias, Thin kind, at::ScalarType type);
// The gradient of the bordered x, from that of y; for one output channel only.
Tensor thinInputGradient(const Tensor& dy, const Tensor& weights, at::ScalarType type);
Tensor thinWeightGradient(const Tensor& x, const Tensor& dy, const Tensor& weights, Thin kind);

// Sums of dy [..., channels] by channel.
Tensor channelSums(const Tensor& dy);

// ---- Taps: any kernel and stride, as sums over rows of taps. A row of taps along the width is one contiguous run of
// inputs. If the processor has a matrix unit, it multiplies: bfloat16 as it is, floats in three parts; the products are
// exact, summed in floats, and rounded once as they are stored. Other processors compute floats in vectors.

bool tapsFit(at::IntArrayRef weights, const Size3& stride); // whole vectors of channels on both sides
// x with zeros around it -> y [n, (d - kd) / stride + 1, ..., out], of x's type.
Tensor gatherTaps(const Tensor& x, const Tensor& weights, const Size3& stride, const Border& zeros, const Tensor& bias);
// The transpose: every voxel of x spreads over the kernel, `stride` apart. y [n, size..., out] begins `crop` voxels
// inside.
Tensor spreadTaps(const Tensor& x, const Tensor& weights, const Size3& stride, const Size3& crop, const Size3& size,
                  const Tensor& bias);
// The gradient of gatherTaps' weights, in floats, from x, which has `border` zeros around it that are not stored, and the
// gradient of y. If `sums` is given and dy's sums by channel come up on the way, it leaves them there.
Tensor tapGradient(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride, const Size3& border,
                   Tensor* sums = nullptr);
// The same by the matrix unit, from bfloat16 or floats.
Tensor tileGradient(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride, const Size3& border,
                    Tensor* sums);
// Weights [kd, kh, kw, from, to] as [kd, kh, kw, to, from].
Tensor transposedTaps(const Tensor& weights);

// Bytes of copies of x, in the order a loop reads it, that exist at a time: little beside x, and never much.
inline int64_t copiedAtATime(const Tensor& x) {
  return std::clamp<int64_t>(x.numel() * x.element_size() / 4, 1 << 20, 16 << 20);
}

// Outputs [first, end) whose tap falls on one of `size` inputs with `border` zeros before them.
struct Reach {
  int64_t first, end;
  Reach(int64_t tap, int64_t stride, int64_t border, int64_t size, int64_t outputs)
      : first(std::max<int64_t>(0, (border - tap + stride - 1) / stride)),
        end(std::min(outputs, (size + border - tap + stride - 1) / stride)) {}
};

} // namespace patchwise
