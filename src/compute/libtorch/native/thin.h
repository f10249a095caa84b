// 3x3x3 convolutions with one channel on one side: the first and the last of a model of CT. oneDNN pads the one channel
// to sixteen and works sixteen times as much.
#pragma once
#include "aten.h"

namespace patchwise {

enum class Thin { kNo, kIn, kOut }; // one input or one output channel

// Which loops fit weights [3, 3, 3, in, out] at stride 1.
Thin thinKind(const at::Tensor& weights, const std::array<int64_t, 3>& stride);

// x [n, d + 2, h + 2, w + 2, in] -> y [n, d, h, w, out], stored as `type`; an undefined bias adds nothing. The one
// channel is in floats always.
at::Tensor thinConvolve(const at::Tensor& x, const at::Tensor& weights, const at::Tensor& bias, Thin kind,
                        at::ScalarType type);
// The gradient of the bordered x, from that of y; one output channel alone.
at::Tensor thinInputGradient(const at::Tensor& dy, const at::Tensor& weights, at::ScalarType type);
at::Tensor thinWeightGradient(const at::Tensor& x, const at::Tensor& dy, const at::Tensor& weights, Thin kind);

// Sums of dy [..., channels] by channel.
at::Tensor channelSums(const at::Tensor& dy);

} // namespace patchwise
