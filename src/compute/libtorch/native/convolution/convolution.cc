// 3D convolutions, plain and transposed, with the replicated border of `geometry.ts`. oneDNN (CPU) and cuDNN (CUDA)
// read our [n, d, h, w, c] without a copy: it is their channels_last_3d, with the axes named in another order.
#include <ATen/Context.h>
#include <torch/version.h>
#include "binding/call.h"
#include "convolution/border.h"
#include "convolution/methods.h"
#include "processor/matrix_unit.h"

namespace patchwise {

struct Plan {
  bool transposed;
  Size3 stride;
  Border border;
  Sizes strides() const { return {stride.begin(), stride.end()}; }
};

template <> Plan read(Call& call) { return {read<bool>(call), read<Size3>(call), read<Border>(call)}; }

namespace {

// [n, d, h, w, c] as torch's [n, c, d, h, w], and back.
Tensor channelsFirst(const Tensor& x) { return x.permute({0, 4, 1, 2, 3}); }
Tensor channelsLast(const Tensor& x) { return x.permute({0, 2, 3, 4, 1}); }

// Weights [kd, kh, kw, in, out] as torch's [out, in, kd, kh, kw], for transposed convolutions [in, out, ...]; and back.
Tensor filterOf(const Tensor& w, bool transposed) {
  return transposed ? w.permute({3, 4, 0, 1, 2}) : w.permute({4, 3, 0, 1, 2});
}
Tensor weightsOf(const Tensor& filter, bool transposed) {
  return transposed ? filter.permute({2, 3, 4, 0, 1}) : filter.permute({2, 3, 4, 1, 0});
}

const Sizes kOnes{1, 1, 1};
const Sizes kZeros{0, 0, 0};

// Whether Winograd's loops take it.
bool byWinograd(const Environment& environment, const Plan& plan, const Tensor& x, at::IntArrayRef weights) {
  return environment.ownLoops && !plan.transposed && x.numel() > 0 && winogradFits(weights, plan.stride);
}

// Whether bfloat16 is multiplied as it is stored.
bool multiplyHalves(const Environment& environment) { return environment.storage == at::kBFloat16 && hasMatrixUnit(); }

// The type that our loops over rows of taps read and write. In vectors they compute floats.
Tensor readByTaps(const Environment& environment, const Tensor& x) {
  return x.to(multiplyHalves(environment) ? at::kBFloat16 : at::kFloat).contiguous();
}

// Whether our loops over rows of taps take it: all bfloat16 if the matrix unit multiplies it, and what Winograd's do not
// take.
bool byTaps(const Environment& environment, const Plan& plan, const Tensor& x, at::IntArrayRef weights) {
  bool own = environment.ownLoops && x.numel() > 0 && weights[0] * weights[1] * weights[2] > 1;
  return own && tapsFit(weights, plan.stride) && (multiplyHalves(environment) || !byWinograd(environment, plan, x, weights));
}

// A transposed convolution of a replicated border crops this much from every side.
Size3 cropOf(at::IntArrayRef weights) { return {weights[0] - 1, weights[1] - 1, weights[2] - 1}; }

Tensor tapsConvolve(const Plan& plan, const Tensor& x, const Tensor& w, const Tensor& bias) {
  if (!plan.transposed) return gatherTaps(x, w, plan.stride, {}, bias);
  Size3 crop = cropOf(w.sizes()), size;
  for (int axis = 0; axis < 3; axis++) size[axis] = (x.size(1 + axis) - 1) * plan.stride[axis] + 1 - crop[axis];
  return spreadTaps(x, w, plan.stride, crop, size, bias);
}

// Of an input of the shape, border included.
Tensor tapsInputGradient(const Plan& plan, const Tensor& dy, const Tensor& w, const Sizes& shape) {
  Tensor backwards = w.transpose(3, 4);
  if (!plan.transposed)
    return spreadTaps(dy, backwards, plan.stride, {0, 0, 0}, {shape[1], shape[2], shape[3]}, Tensor());
  Size3 crop = cropOf(w.sizes()); // put back as zeros
  return gatherTaps(dy, backwards, plan.stride, {crop, crop}, Tensor());
}

// Leaves dy's sums by channel in `sums`, if that is given and they come up on the way.
Tensor tapsWeightGradient(const Plan& plan, const Tensor& x, const Tensor& dy, at::IntArrayRef weights, Tensor* sums) {
  Size3 kernel{weights[0], weights[1], weights[2]};
  if (!plan.transposed) return tapGradient(x, dy, kernel, plan.stride, {0, 0, 0}, sums);
  return transposedTaps(tapGradient(dy, x, kernel, plan.stride, cropOf(weights)));
}

// What a convolution's wide side is stored in. Thin and pointwise ones make latents and patches, which stay floats.
at::ScalarType storageOf(const Environment& environment, at::IntArrayRef weights, int64_t channels) {
  bool wide = weights[0] * weights[1] * weights[2] > 1 && channels % 16 == 0;
  return wide ? environment.storage : at::kFloat;
}

// What libtorch computes in. On processors without a matrix unit, oneDNN is slower in bfloat16 than in floats at these
// sizes; on those with one, our own loops take what fits. cuDNN computes in what is stored.
at::ScalarType computeIn(const Environment& environment, at::ScalarType stored) {
  return environment.device.is_cpu() && !likeCuda() ? at::kFloat : stored;
}

const Tensor& filterIn(Slot& slot, bool transposed, at::ScalarType type) {
  if (!slot.filter.defined() || slot.filter.scalar_type() != type)
    slot.filter = filterOf(valueOf(slot), transposed).to(type).contiguous(at::MemoryFormat::ChannelsLast3d);
  return slot.filter;
}

// ATen sends small convolutions to a slow path of its own. So on the CPU we ask oneDNN directly.
Tensor plainConvolution(const Tensor& x, const Tensor& filter, const Tensor& bias, const Sizes& stride) {
  c10::optional<Tensor> b = bias.defined() ? c10::optional<Tensor>(bias) : c10::nullopt;
  if (onCpu(x) && at::hasMKLDNN() && x.numel() > 0)
    return at::mkldnn_convolution(x, filter, b, kZeros, stride, kOnes, 1);
  return at::convolution(x, filter, b, stride, kZeros, kOnes, false, kZeros, 1);
}

Tensor gradientOf(const Tensor& dy, const Tensor& x, const Tensor& filter, const Sizes& stride, bool ofWeights) {
  auto gradients = at::convolution_backward(dy, x, filter, c10::nullopt, stride, kZeros, kOnes, false, kZeros, 1,
                                            {!ofWeights, ofWeights, false});
  return ofWeights ? std::get<1>(gradients) : std::get<0>(gradients);
}

// A transposed convolution of a replicated border; it crops kernel - 1 voxels from every side.
Tensor transposedConvolution(const Tensor& x, const Tensor& filter, const Tensor& bias, const Sizes& stride) {
  Sizes crop;
  for (int axis = 0; axis < 3; axis++) crop.push_back(filter.size(2 + axis) - 1);
#if TORCH_VERSION_MAJOR < 2
  // libtorch 1 unfolds each voxel to all taps for it: 16 times the memory, and slow. oneDNN's input gradient of a plain
  // convolution is the same sum.
  if (onCpu(x) && x.numel() > 0) {
    Sizes shape{x.size(0), filter.size(1)};
    for (int axis = 0; axis < 3; axis++) shape.push_back((x.size(2 + axis) - 1) * stride[axis] + 1 - crop[axis]);
    Tensor like = at::empty(shape, x.options(), at::MemoryFormat::ChannelsLast3d); // only its shape is read
    Tensor y = std::get<0>(at::convolution_backward(x, like, filter, c10::nullopt, stride, crop, kOnes, false, kZeros, 1,
                                                    {true, false, false}));
    return bias.defined() ? y.add_(bias.reshape({1, -1, 1, 1, 1})) : y;
  }
#endif
  return at::convolution(x, filter, bias.defined() ? c10::optional<Tensor>(bias) : c10::nullopt, stride, crop, kOnes,
                         true, kZeros, 1);
}

// dy with zeros where the transposed convolution cropped. Its gradients are then a plain convolution's forward pass and
// weight gradient, for which oneDNN has fast code at padding 0.
Tensor uncropped(const Tensor& dy, const Tensor& filter) {
  Sizes pads{0, 0};
  for (int axis = 2; axis >= 0; axis--) pads.insert(pads.end(), 2, filter.size(2 + axis) - 1);
  return channelsFirst(at::constant_pad_nd(dy, pads));
}

Slot convolve(Environment& environment, Slot& given, Slot& weights, std::optional<Tensor> offset, Plan plan) {
  Tensor w = valueOf(weights), x = borderedOf(given, plan.border), bias = offset.value_or(Tensor());
  TORCH_CHECK(x.dim() == 5 && w.dim() == 5 && x.size(4) == w.size(3), "x [n, d, h, w, in] and w [..., in, out] expected");
  Thin thin = environment.ownLoops && !plan.transposed ? thinFits(w, plan.stride) : Thin::kNo;
  at::ScalarType type = storageOf(environment, w.sizes(), w.size(4));
  if (thin == Thin::kIn) return thinConvolve(x.to(at::kFloat).contiguous(), w, bias, thin, type);
  if (thin == Thin::kOut) return thinConvolve(x.contiguous(), w, bias, thin, at::kFloat);
  if (byTaps(environment, plan, x, w.sizes())) return tapsConvolve(plan, readByTaps(environment, x), w, bias).to(type);
  if (byWinograd(environment, plan, x, w.sizes())) return winogradConvolve(x.to(type).contiguous(), w, bias);
  at::ScalarType inner = computeIn(environment, type);
  x = x.to(inner).contiguous();
  if (bias.defined()) bias = bias.to(inner);
  const Tensor& filter = filterIn(weights, plan.transposed, inner);
  auto compute = plan.transposed ? transposedConvolution : plainConvolution;
  return channelsLast(compute(channelsFirst(x), filter, bias, plan.strides())).to(type).contiguous();
}

// dx of an input of `size`; its border is folded when somebody reads it.
Slot convolveInput(Environment& environment, Tensor dy, Slot& weights, Plan plan, Size3 size) {
  Tensor w = valueOf(weights);
  dy = dy.contiguous();
  Sizes shape = plan.border.around({dy.size(0), size[0], size[1], size[2], w.size(3)});
  at::ScalarType type = storageOf(environment, w.sizes(), w.size(3));
  Tensor gradient;
  if (environment.ownLoops && !plan.transposed && thinFits(w, plan.stride) == Thin::kOut) {
    gradient = thinInputGradient(dy.to(at::kFloat), w, type);
  } else if (byTaps(environment, plan, dy, w.sizes())) {
    gradient = tapsInputGradient(plan, readByTaps(environment, dy), w, shape).to(type);
  } else if (byWinograd(environment, plan, dy, w.sizes())) {
    gradient = winogradInputGradient(dy.to(type), w);
  } else {
    at::ScalarType inner = computeIn(environment, type);
    dy = dy.to(inner);
    const Tensor& filter = filterIn(weights, plan.transposed, inner);
    if (plan.transposed) {
      gradient = plainConvolution(uncropped(dy, filter), filter, Tensor(), plan.strides());
    } else {
      Tensor like = channelsFirst(at::empty(shape, dy.options())); // only its shape is read
      gradient = gradientOf(channelsFirst(dy), like, filter, plan.strides(), false);
    }
    gradient = channelsLast(gradient).to(type).contiguous();
  }
  if (plan.border.empty()) return gradient;
  Slot slot;
  slot.gradient = gradient;
  slot.border = plan.border;
  return slot;
}

// dw of weights of `shape`, in libtorch's order in memory
Tensor convolveWeight(Environment& environment, Slot& input, Slot& gradients, Plan plan, Sizes shape) {
  Tensor dy = valueOf(gradients).contiguous(), x = borderedOf(input, plan.border).contiguous();
  Tensor weights = at::empty(shape, environment.floats()); // only its shape is read
  Thin thin = environment.ownLoops && !plan.transposed ? thinFits(weights, plan.stride) : Thin::kNo;
  if (thin == Thin::kIn) return thinWeightGradient(x.to(at::kFloat), dy, weights, thin);
  if (thin == Thin::kOut) return thinWeightGradient(x, dy.to(at::kFloat), weights, thin);
  if (byTaps(environment, plan, dy, shape)) {
    Tensor given = readByTaps(environment, dy);
    Tensor* sums = given.scalar_type() == dy.scalar_type() ? &gradients.channelSums : nullptr; // not of rounded values
    return tapsWeightGradient(plan, readByTaps(environment, x), given, shape, sums);
  }
  if (byWinograd(environment, plan, dy, shape)) return winogradWeightGradient(x, dy, shape);
  at::ScalarType type = computeIn(environment, x.scalar_type() == dy.scalar_type() ? dy.scalar_type() : at::kFloat);
  x = x.to(type), dy = dy.to(type);
  Tensor filter = filterOf(weights.to(type), plan.transposed).contiguous(at::MemoryFormat::ChannelsLast3d);
  Tensor gradient = plan.transposed
                        ? gradientOf(channelsFirst(x), uncropped(dy, filter), filter, plan.strides(), true)
                        : gradientOf(channelsFirst(dy), channelsFirst(x), filter, plan.strides(), true);
  return weightsOf(gradient.to(at::kFloat), plan.transposed);
}

Tensor sumChannels(Environment& environment, Slot& given) {
  if (given.channelSums.defined()) return given.channelSums;
  Tensor dy = valueOf(given);
  return environment.ownLoops ? channelSums(dy.contiguous()) : dy.reshape({-1, dy.size(-1)}).sum(0, false, at::kFloat);
}

const Exports convolutions{"kernels", {
  {"convolve", convolve},
  {"convolveInput", convolveInput},
  {"convolveWeight", convolveWeight},
  {"channelSums", sumChannels},
}};

} // namespace
} // namespace patchwise
