// 3D convolutions, plain and transposed, with the replicated border of `geometry.ts`. oneDNN (CPU) and cuDNN (CUDA)
// read our [n, d, h, w, c] as channels_last_3d without a copy.
#include <ATen/Context.h>
#include <torch/version.h>
#include "matrix_unit.h"
#include "pad.h"
#include "table.h"
#include "taps.h"
#include "thin.h"
#include "views.h"
#include "winograd.h"

namespace patchwise {
namespace {

struct Plan {
  bool transposed;
  Size3 stride;
  Border border;
  Sizes strides() const { return {stride.begin(), stride.end()}; }
};

// Arguments from `at` on: transposed, stride, before, after.
Plan planOf(Call& call, size_t at) {
  return {call.flag(at), call.size3(at + 1), {call.size3(at + 2), call.size3(at + 3)}};
}

const Sizes kOnes{1, 1, 1};
const Sizes kZeros{0, 0, 0};

// Whether our own loops for wide channels take it.
bool byWinograd(Call& call, const Plan& plan, const Tensor& x, at::IntArrayRef weights) {
  return call.environment.ownLoops && !plan.transposed && x.numel() > 0 && winogradFits(weights, plan.stride);
}

// Whether bfloat16 is multiplied as it is stored.
bool multiplyHalves(Call& call) { return call.environment.storage == at::kBFloat16 && hasMatrixUnit(); }

// What our loops over rows of taps read, and give: in vectors they compute in floats.
Tensor readByTaps(Call& call, const Tensor& x) {
  return x.to(multiplyHalves(call) ? at::kBFloat16 : at::kFloat).contiguous();
}

// Whether our loops over rows of taps take it: what Winograd's do not, and all bfloat16 that the matrix unit
// multiplies.
bool byTaps(Call& call, const Plan& plan, const Tensor& x, at::IntArrayRef weights) {
  bool own = call.environment.ownLoops && x.numel() > 0 && weights[0] * weights[1] * weights[2] > 1;
  return own && tapsFit(weights, plan.stride) && (multiplyHalves(call) || !byWinograd(call, plan, x, weights));
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

// `sums`: of dy by channel, if asked for, where they are come by.
Tensor tapsWeightGradient(const Plan& plan, const Tensor& x, const Tensor& dy, at::IntArrayRef weights, Tensor* sums) {
  Size3 kernel{weights[0], weights[1], weights[2]};
  if (!plan.transposed) return tapGradient(x, dy, kernel, plan.stride, {0, 0, 0}, sums);
  return transposedTaps(tapGradient(dy, x, kernel, plan.stride, cropOf(weights)));
}

// What a convolution's wide side is stored in. Thin and pointwise ones make latents and patches: those stay floats.
at::ScalarType storageOf(Call& call, at::IntArrayRef weights, int64_t channels) {
  bool wide = weights[0] * weights[1] * weights[2] > 1 && channels % 16 == 0;
  return wide ? call.environment.storage : at::kFloat;
}

// What libtorch is to compute in: oneDNN is slower in bfloat16 than in floats at these sizes on processors without
// matrix units, and our own loops take what fits where there is one; cuDNN has them.
at::ScalarType computeIn(Call& call, at::ScalarType stored) {
  return call.environment.device.is_cpu() && !likeCuda() ? at::kFloat : stored;
}

const Tensor& filterIn(Slot& slot, bool transposed, at::ScalarType type) {
  if (!slot.filter.defined() || slot.filter.scalar_type() != type)
    slot.filter = filterOf(valueOf(slot), transposed).to(type).contiguous(at::MemoryFormat::ChannelsLast3d);
  return slot.filter;
}

// ATen sends small convolutions to a slow path of its own; on the CPU oneDNN is asked directly.
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
  // For it libtorch 1 has code alone that unfolds each voxel to all taps: 16 times the memory, and slow. The input
  // gradient of a plain convolution is the same sum, by oneDNN.
  if (onCpu(x) && x.numel() > 0) {
    Sizes shape{x.size(0), filter.size(1)};
    for (int axis = 0; axis < 3; axis++) shape.push_back((x.size(2 + axis) - 1) * stride[axis] + 1 - crop[axis]);
    Tensor like = at::empty(shape, x.options(), at::MemoryFormat::ChannelsLast3d); // its shape alone is read
    Tensor y = std::get<0>(at::convolution_backward(x, like, filter, c10::nullopt, stride, crop, kOnes, false, kZeros, 1,
                                                    {true, false, false}));
    return bias.defined() ? y.add_(bias.reshape({1, -1, 1, 1, 1})) : y;
  }
#endif
  return at::convolution(x, filter, bias.defined() ? c10::optional<Tensor>(bias) : c10::nullopt, stride, crop, kOnes,
                         true, kZeros, 1);
}

// What a transposed convolution crops is put back as zeros: then its gradients are a plain convolution's forward pass
// and weight gradient, for which oneDNN has fast code at padding 0.
Tensor uncropped(const Tensor& dy, const Tensor& filter) {
  Sizes pads{0, 0};
  for (int axis = 2; axis >= 0; axis--) pads.insert(pads.end(), 2, filter.size(2 + axis) - 1);
  return channelsFirst(at::constant_pad_nd(dy, pads));
}

// (x, w, bias | -1, plan...) -> y
void convolve(Call& call) {
  Plan plan = planOf(call, 3);
  Tensor w = call.tensor(1), bias = call.tensorOr(2);
  Tensor x = borderedOf(call.slot(0), plan.border);
  TORCH_CHECK(x.dim() == 5 && w.dim() == 5 && x.size(4) == w.size(3), "x [n, d, h, w, in] and w [..., in, out] expected");
  Thin thin = call.environment.ownLoops && !plan.transposed ? thinKind(w, plan.stride) : Thin::kNo;
  at::ScalarType type = storageOf(call, w.sizes(), w.size(4));
  if (thin == Thin::kIn) return call.result(thinConvolve(x.to(at::kFloat).contiguous(), w, bias, thin, type));
  if (thin == Thin::kOut) return call.result(thinConvolve(x.contiguous(), w, bias, thin, at::kFloat));
  if (byTaps(call, plan, x, w.sizes())) return call.result(tapsConvolve(plan, readByTaps(call, x), w, bias).to(type));
  if (byWinograd(call, plan, x, w.sizes())) return call.result(winogradConvolve(x.to(type).contiguous(), w, bias));
  at::ScalarType inner = computeIn(call, type);
  x = x.to(inner).contiguous();
  if (bias.defined()) bias = bias.to(inner);
  const Tensor& filter = filterIn(call.slot(1), plan.transposed, inner);
  auto compute = plan.transposed ? transposedConvolution : plainConvolution;
  Tensor y = compute(channelsFirst(x), filter, bias, plan.strides());
  call.result(channelsLast(y).to(type).contiguous());
}

// (dy, w, plan..., input size) -> dx, its border folded when somebody reads it
void convolveInput(Call& call) {
  Plan plan = planOf(call, 2);
  Size3 size = call.size3(6);
  Tensor dy = call.tensor(0).contiguous(), w = call.tensor(1);
  Sizes shape{dy.size(0), size[0], size[1], size[2], w.size(3)};
  for (int axis = 0; axis < 3; axis++) shape[1 + axis] += plan.border.before[axis] + plan.border.after[axis];
  at::ScalarType type = storageOf(call, w.sizes(), w.size(3));
  Tensor gradient;
  if (call.environment.ownLoops && !plan.transposed && thinKind(w, plan.stride) == Thin::kOut) {
    gradient = thinInputGradient(dy.to(at::kFloat), w, type);
  } else if (byTaps(call, plan, dy, w.sizes())) {
    gradient = tapsInputGradient(plan, readByTaps(call, dy), w, shape).to(type);
  } else if (byWinograd(call, plan, dy, w.sizes())) {
    gradient = winogradInputGradient(dy.to(type), w);
  } else {
    at::ScalarType inner = computeIn(call, type);
    dy = dy.to(inner);
    const Tensor& filter = filterIn(call.slot(1), plan.transposed, inner);
    if (plan.transposed) {
      gradient = plainConvolution(uncropped(dy, filter), filter, Tensor(), plan.strides());
    } else {
      Tensor like = channelsFirst(at::empty(shape, dy.options())); // its shape alone is read
      gradient = gradientOf(channelsFirst(dy), like, filter, plan.strides(), false);
    }
    gradient = channelsLast(gradient).to(type).contiguous();
  }
  if (plan.border.empty()) return call.result(gradient);
  Slot slot;
  slot.gradient = gradient;
  slot.border = plan.border;
  call.result(std::move(slot));
}

// (x, dy, plan..., weights' shape) -> dw, in libtorch's order in memory
void convolveWeight(Call& call) {
  Plan plan = planOf(call, 2);
  Sizes shape = call.sizes(6);
  Tensor dy = call.tensor(1).contiguous();
  Tensor x = borderedOf(call.slot(0), plan.border).contiguous();
  Tensor weights = at::empty(shape, call.floats()); // its shape alone is read
  Thin thin = call.environment.ownLoops && !plan.transposed ? thinKind(weights, plan.stride) : Thin::kNo;
  if (thin == Thin::kIn) return call.result(thinWeightGradient(x.to(at::kFloat), dy, weights, thin));
  if (thin == Thin::kOut) return call.result(thinWeightGradient(x, dy.to(at::kFloat), weights, thin));
  if (byTaps(call, plan, dy, shape)) {
    Tensor read = readByTaps(call, dy);
    Tensor* sums = read.scalar_type() == dy.scalar_type() ? &call.slot(1).channelSums : nullptr; // not of rounded values
    return call.result(tapsWeightGradient(plan, readByTaps(call, x), read, shape, sums));
  }
  if (byWinograd(call, plan, dy, shape)) return call.result(winogradWeightGradient(x, dy, shape));
  at::ScalarType type = computeIn(call, x.scalar_type() == dy.scalar_type() ? dy.scalar_type() : at::kFloat);
  x = x.to(type), dy = dy.to(type);
  Tensor filter = filterOf(weights.to(type), plan.transposed).contiguous(at::MemoryFormat::ChannelsLast3d);
  Tensor gradient = plan.transposed
                        ? gradientOf(channelsFirst(x), uncropped(dy, filter), filter, plan.strides(), true)
                        : gradientOf(channelsFirst(dy), channelsFirst(x), filter, plan.strides(), true);
  call.result(weightsOf(gradient.to(at::kFloat), plan.transposed));
}

} // namespace

void addConvolutions(Exports& exports) {
  exports.push_back({"", "convolve", convolve});
  exports.push_back({"", "convolveInput", convolveInput});
  exports.push_back({"", "convolveWeight", convolveWeight});
  exports.push_back({"", "channelSums", [](Call& call) {
    if (call.slot(0).channelSums.defined()) return call.result(call.slot(0).channelSums);
    Tensor dy = call.tensor(0);
    bool loops = call.environment.ownLoops;
    call.result(loops ? channelSums(dy.contiguous()) : dy.reshape({-1, dy.size(-1)}).sum(0, false, at::kFloat));
  }});
}

} // namespace patchwise
