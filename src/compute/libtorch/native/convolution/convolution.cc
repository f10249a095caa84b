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
bool byWinograd(const Plan& plan, const Tensor& x, at::IntArrayRef weights) {
  return takesOwnLoops(x) && !plan.transposed && winogradFits(weights, plan.stride);
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
  bool own = takesOwnLoops(x) && weights[0] * weights[1] * weights[2] > 1;
  return own && tapsFit(weights, plan.stride) && (multiplyHalves(environment) || !byWinograd(plan, x, weights));
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
at::ScalarType computeIn(const Tensor& x, at::ScalarType stored) { return takesOwnLoops(x) ? at::kFloat : stored; }

const Tensor& filterIn(Slot& slot, bool transposed, at::ScalarType type) {
  if (!slot.filter.defined() || slot.filter.scalar_type() != type)
    slot.filter = filterOf(valueOf(slot), transposed).to(type).contiguous(at::MemoryFormat::ChannelsLast3d);
  return slot.filter;
}

// ATen sends small convolutions to a slow path of its own. So on the CPU we ask oneDNN directly.
Tensor plainConvolution(const Tensor& x, const Tensor& filter, const Tensor& bias, const Sizes& stride) {
  c10::optional<Tensor> b = bias.defined() ? c10::optional<Tensor>(bias) : c10::nullopt;
  if (takesOwnLoops(x) && at::hasMKLDNN())
    return at::mkldnn_convolution(x, filter, b, kZeros, stride, kOnes, 1);
  return at::convolution(x, filter, b, stride, kZeros, kOnes, false, kZeros, 1);
}

Tensor gradientOf(const Tensor& dy, const Tensor& x, const Tensor& filter, const Sizes& stride, bool ofWeights,
                  const Sizes& padding = kZeros) {
  auto gradients = at::convolution_backward(dy, x, filter, c10::nullopt, stride, padding, kOnes, false, kZeros, 1,
                                            {!ofWeights, ofWeights, false});
  return ofWeights ? std::get<1>(gradients) : std::get<0>(gradients);
}

// Some planes of a plain convolution: of its output, and of the input that they need.
struct Planes {
  int64_t start, length, from, needed;
  Tensor ofOutput(const Tensor& y) const { return y.narrow(1, start, length); }
  Tensor ofInput(const Tensor& x) const { return x.narrow(1, from, needed); }
};

// What is stored in half and computed in floats has a copy in floats. By parts, that is small beside the volume.
std::vector<Planes> planesOf(const Tensor& x, int64_t kernel, int64_t stride) {
  std::vector<Planes> parts;
  int64_t outputs = (x.size(1) - kernel) / stride + 1, some = std::max<int64_t>(1, outputs / 8);
  for (int64_t start = 0; start < outputs; start += some) {
    int64_t length = std::min(some, outputs - start);
    parts.push_back({start, length, start * stride, (length - 1) * stride + kernel});
  }
  return parts;
}

bool isHalf(const Tensor& x) { return x.scalar_type() == at::kBFloat16; }

// y in floats of x in halves.
Tensor convolveHalves(const Plan& plan, const Tensor& x, const Tensor& filter, const Tensor& bias) {
  Sizes shape{x.size(0)};
  for (int axis = 0; axis < 3; axis++)
    shape.push_back((x.size(1 + axis) - filter.size(2 + axis)) / plan.stride[axis] + 1);
  shape.push_back(filter.size(0));
  Tensor y = at::empty(shape, x.options().dtype(at::kFloat));
  for (const Planes& part : planesOf(x, filter.size(2), plan.stride[0])) {
    Tensor floats = channelsFirst(part.ofInput(x).to(at::kFloat).contiguous());
    part.ofOutput(y).copy_(channelsLast(plainConvolution(floats, filter, bias, plan.strides())));
  }
  return y;
}

// The filter's gradient where x or dy is in halves, and the other in floats.
Tensor gradientOfHalves(const Plan& plan, const Tensor& x, const Tensor& dy, const Tensor& filter) {
  Tensor sum = at::zeros_like(filter);
  for (const Planes& part : planesOf(x, filter.size(2), plan.stride[0])) {
    Tensor floats = part.ofInput(x).to(at::kFloat), gradients = part.ofOutput(dy).to(at::kFloat);
    sum += gradientOf(channelsFirst(gradients), channelsFirst(floats), filter, plan.strides(), true);
  }
  return sum;
}

// What a transposed convolution of a replicated border crops from every side.
Sizes cropBy(const Tensor& filter) { return {filter.size(2) - 1, filter.size(3) - 1, filter.size(4) - 1}; }

// The input's gradient as cuDNN computes it: a transposed convolution, without a tensor that only tells the size of x.
Tensor inputGradientOnDevice(const Plan& plan, const Tensor& dy, const Tensor& filter, const Sizes& shape) {
  if (plan.transposed) return at::convolution(dy, filter, c10::nullopt, plan.strides(), cropBy(filter), kOnes, false, kZeros, 1);
#if TORCH_VERSION_MAJOR < 2
  // libtorch 1 unfolds each voxel to all taps for a transposed convolution, and takes none in bfloat16.
  Tensor like = channelsFirst(at::empty(shape, dy.options())); // only its shape is read
  return gradientOf(dy, like, filter, plan.strides(), false);
#endif
  Sizes left; // behind the last output
  for (int axis = 0; axis < 3; axis++) left.push_back((shape[1 + axis] - filter.size(2 + axis)) % plan.stride[axis]);
  return at::convolution(dy, filter, c10::nullopt, plan.strides(), kZeros, kOnes, true, left, 1);
}

// A transposed convolution of a replicated border.
Tensor transposedConvolution(const Tensor& x, const Tensor& filter, const Tensor& bias, const Sizes& stride) {
  Sizes crop = cropBy(filter);
#if TORCH_VERSION_MAJOR < 2
  // libtorch 1 unfolds each voxel to all taps for it: 16 times the memory, and slow. oneDNN's input gradient of a plain
  // convolution is the same sum.
  if (takesOwnLoops(x)) {
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
  Thin thin = takesOwnLoops(x) && !plan.transposed ? thinFits(w, plan.stride) : Thin::kNo;
  at::ScalarType type = storageOf(environment, w.sizes(), w.size(4));
  if (thin == Thin::kIn) return thinConvolve(x.to(at::kFloat).contiguous(), w, bias, thin, type);
  if (thin == Thin::kOut) return thinConvolve(x.contiguous(), w, bias, thin, at::kFloat);
  if (byTaps(environment, plan, x, w.sizes())) return tapsConvolve(plan, readByTaps(environment, x), w, bias).to(type);
  if (byWinograd(plan, x, w.sizes())) return winogradConvolve(x.to(type).contiguous(), w, bias);
  at::ScalarType inner = computeIn(x, type);
  if (bias.defined()) bias = bias.to(inner);
  const Tensor& filter = filterIn(weights, plan.transposed, inner);
  bool byParts = !takesOwnLoops(x) && !plan.transposed && x.numel() > 0;
  if (byParts && isHalf(x) && inner == at::kFloat) return convolveHalves(plan, x, filter, bias);
  x = x.to(inner).contiguous();
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
  if (takesOwnLoops(dy) && !plan.transposed && thinFits(w, plan.stride) == Thin::kOut) {
    gradient = thinInputGradient(dy.to(at::kFloat), w, type);
  } else if (byTaps(environment, plan, dy, w.sizes())) {
    gradient = tapsInputGradient(plan, readByTaps(environment, dy), w, shape).to(type);
  } else if (byWinograd(plan, dy, w.sizes())) {
    gradient = winogradInputGradient(dy.to(type), w);
  } else {
    at::ScalarType inner = computeIn(dy, type);
    dy = dy.to(inner);
    const Tensor& filter = filterIn(weights, plan.transposed, inner);
    if (!takesOwnLoops(dy)) {
      gradient = inputGradientOnDevice(plan, channelsFirst(dy), filter, shape);
    } else if (plan.transposed) {
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
  Thin thin = takesOwnLoops(dy) && !plan.transposed ? thinFits(weights, plan.stride) : Thin::kNo;
  if (thin == Thin::kIn) return thinWeightGradient(x.to(at::kFloat), dy, weights, thin);
  if (thin == Thin::kOut) return thinWeightGradient(x, dy.to(at::kFloat), weights, thin);
  if (byTaps(environment, plan, dy, shape)) {
    Tensor given = readByTaps(environment, dy);
    Tensor* sums = given.scalar_type() == dy.scalar_type() ? &gradients.channelSums : nullptr; // not of rounded values
    return tapsWeightGradient(plan, readByTaps(environment, x), given, shape, sums);
  }
  if (byWinograd(plan, dy, shape)) return winogradWeightGradient(x, dy, shape);
  at::ScalarType type = computeIn(dy, x.scalar_type() == dy.scalar_type() ? dy.scalar_type() : at::kFloat);
  Tensor filter = filterOf(weights.to(type), plan.transposed).contiguous(at::MemoryFormat::ChannelsLast3d);
  bool byParts = !takesOwnLoops(dy) && !plan.transposed && dy.numel() > 0;
  if (byParts && isHalf(x) != isHalf(dy)) return weightsOf(gradientOfHalves(plan, x, dy, filter), false);
  x = x.to(type), dy = dy.to(type);
  Tensor gradient;
  if (!plan.transposed) gradient = gradientOf(channelsFirst(dy), channelsFirst(x), filter, plan.strides(), true);
  else if (takesOwnLoops(dy)) gradient = gradientOf(channelsFirst(x), uncropped(dy, filter), filter, plan.strides(), true);
  else gradient = gradientOf(channelsFirst(x), channelsFirst(dy), filter, plan.strides(), true, cropBy(filter));
  return weightsOf(gradient.to(at::kFloat), plan.transposed);
}

Tensor sumChannels(Slot& given) {
  if (given.channelSums.defined()) return given.channelSums;
  Tensor dy = valueOf(given);
  return takesOwnLoops(dy) ? channelSums(dy.contiguous()) : dy.reshape({-1, dy.size(-1)}).sum(0, false, at::kFloat);
}

const Exports convolutions{"kernels", {
  {"convolve", convolve},
  {"convolveInput", convolveInput},
  {"convolveWeight", convolveWeight},
  {"channelSums", sumChannels},
}};

} // namespace
} // namespace patchwise
