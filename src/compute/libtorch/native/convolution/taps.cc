#include <cstring>
#include "convolution/methods.h"
#include "convolution/tap_sums.h"

namespace patchwise {
namespace {

// Calls run(X(), Y()) for the types that x is read in and stored in.
template <typename Run>
void byType(const Tensor& x, Run run) {
#if PATCHWISE_TILES
  if (x.scalar_type() == at::kBFloat16) return run(BFloat16(), BFloat16());
  if (hasMatrixUnit()) return run(BFloat16(), float());
#endif
  run(float(), float());
}

// Calls row(i, from) for every row i of x with zeros around it; `from` is x's row there, or null.
template <typename Row>
void eachBorderedRow(const Tensor& x, const Border& zeros, Row row) {
  int64_t depth = zeros.before[0] + x.size(1) + zeros.after[0], height = zeros.before[1] + x.size(2) + zeros.after[1];
  const char* data = (const char*)x.data_ptr();
  int64_t volume = x.stride(0) * x.element_size(), bytes = x.stride(2) * x.element_size();
  eachIndex(x.size(0) * depth * height, 16, [&](int64_t i) {
    int64_t n = i / (depth * height), z = i / height % depth - zeros.before[0], y = i % height - zeros.before[1];
    bool inside = z >= 0 && y >= 0 && z < x.size(1) && y < x.size(2);
    row(i, inside ? data + n * volume + (z * x.size(2) + y) * bytes : nullptr);
  });
}

// x with zeros around it as [part, n, d, h, w, c]. The zeros after a row are also those before the next one. Outputs of
// many rows are summed in one line, and so fewer sums between the rows are wasted.
template <typename X, typename Y>
Tensor fieldOf(const Tensor& x, const Border& zeros) {
  if (std::is_same<X, Y>::value && zeros.empty()) return x.unsqueeze(0);
  constexpr int kCount = std::is_same<X, Y>::value ? 1 : kParts<Y>;
  int64_t n = x.size(0), depth = zeros.before[0] + x.size(1) + zeros.after[0], channels = x.size(4);
  int64_t height = zeros.before[1] + x.size(2) + zeros.after[1], row = x.size(3) * channels;
  int64_t left = zeros.before[2] * channels, right = zeros.after[2] * channels, pitch = row + std::max(left, right);
  int64_t rows = n * depth * height, part = rows * pitch + right;
  Tensor to = at::empty({kCount, part}, x.options().dtype(c10::CppTypeToScalarType<X>()));
  X* target = to.data_ptr<X>();
  for (int p = 0; p < kCount; p++) std::fill_n(target + p * part + rows * pitch, right, X(0.f));
  eachBorderedRow(x, zeros, [&](int64_t i, const char* source) {
    const Y* from = (const Y*)source;
    X* out = target + i * pitch;
    for (int p = 0; p < kCount; p++) {
      std::memset(out + p * part, 0, sizeof(X) * (from ? left : pitch));
      if (from) std::memset(out + p * part + left + row, 0, sizeof(X) * (pitch - left - row));
    }
    if (!from) return;
    if (kCount == 1) return (void)std::memcpy(out + left, from, sizeof(X) * row);
    for (int64_t j = 0; j < row; j += kLanes) {
      Floats values = load(from + j);
      for (int p = 0; p < kCount; p++, values -= nearestHalf(values)) store(out + p * part + left + j, values);
    }
  });
  int64_t width = pitch / channels;
  return to.as_strided({kCount, n, depth, height, width, channels},
                       {part, depth * height * pitch, height * pitch, pitch, channels, 1});
}

// Planes [first, end) of x with zeros around it.
template <typename X, typename Y>
Tensor planesOf(const Tensor& x, Border zeros, int64_t first, int64_t end) {
  int64_t start = first - zeros.before[0], stop = end - zeros.before[0];
  int64_t low = std::clamp<int64_t>(start, 0, x.size(1)), high = std::clamp<int64_t>(stop, low, x.size(1));
  zeros.before[0] = low - std::min(start, low), zeros.after[0] = stop - start - zeros.before[0] - (high - low);
  return fieldOf<X, Y>(x.narrow(1, low, high - low), zeros);
}

// Outputs that have the same taps along an axis. They are `apart` from one another: output first + apart * i is the sum
// over j of input step * i + shift + j times tap j.
struct Phase {
  int64_t first, outputs, shift;
  TapRow taps;
};
struct Axis {
  int64_t apart, step;
  std::vector<Phase> phases;
};
using Axes = std::array<Axis, 3>;

// y [n, d, h, w, to] from x with zeros around it; some planes of outputs at a time if x is read in parts.
template <typename X, typename Y>
void sumPhases(const Tensor& x, const Border& zeros, const Tensor& w, const Axes& axes, const float* bias, Tensor& y) {
  const auto& [zs, ys, xs] = axes;
  std::vector<Tensor> packed;
  for (const Phase& pz : zs.phases)
    for (const Phase& py : ys.phases)
      for (const Phase& px : xs.phases) packed.push_back(TapSums<X, Y>::pack(w, {pz.taps, py.taps, px.taps}));
  int64_t count = 0, low = zs.phases[0].shift, high = 0; // outputs of a phase; planes that those at 0 reach
  for (const Phase& p : zs.phases)
    count = std::max(count, p.outputs), low = std::min(low, p.shift), high = std::max(high, p.shift + p.taps.count);
  int64_t together = count;
  if (!std::is_same<X, Y>::value) {
    int64_t voxels = x.size(0);
    for (int axis = 1; axis < 3; axis++) voxels *= zeros.before[axis] + x.size(1 + axis) + zeros.after[axis];
    int64_t plane = voxels * x.size(4) * sizeof(X) * kParts<Y>;
    together = std::clamp<int64_t>((copiedAtATime(x) / plane - (high - low)) / zs.step + 1, 1, count);
  }
  Steps to{y.stride(0), y.stride(1), y.stride(2), y.stride(3)};
  auto edges = [&](int axis, const Phase& phase, int64_t output) {
    int64_t first = zeros.before[axis] - phase.shift - axes[axis].step * output;
    return Edges{first, first + x.size(1 + axis), axes[axis].step, phase.taps.count};
  };
  for (int64_t start = 0; start < count; start += together) {
    int64_t end = std::min(count, start + together);
    Tensor field = planesOf<X, Y>(x, zeros, start * zs.step + low, (end - 1) * zs.step + high);
    Steps in{field.stride(1), field.stride(2), field.stride(3), field.stride(4)};
    auto weights = packed.begin();
    for (const Phase& pz : zs.phases)
      for (const Phase& py : ys.phases)
        for (const Phase& px : xs.phases)
          sumGrid<X, Y>({field.data_ptr<X>() + (pz.shift - low) * in.z + py.shift * in.y + px.shift * in.x,
                         field.stride(0),
                         {in.n, in.z * zs.step, in.y * ys.step, in.x * xs.step},
                         in.z, in.y, pz.taps.count, py.taps.count, px.taps.count * w.size(3),
                         y.data_ptr<Y>() + (pz.first + start * zs.apart) * to.z + py.first * to.y + px.first * to.x,
                         {to.n, to.z * zs.apart, to.y * ys.apart, to.x * xs.apart},
                         y.size(0), std::min(pz.outputs, end) - start, py.outputs, px.outputs,
                         edges(0, pz, start), edges(1, py, 0)},
                        *weights++, bias);
  }
}

Tensor sumTaps(const Tensor& x, const Border& zeros, const Tensor& weights, const Axes& axes, const Size3& size,
               const Tensor& bias) {
  Tensor w = weights.to(at::kFloat), b = bias.defined() ? bias.contiguous() : bias;
  if (!w.transpose(3, 4).is_contiguous()) w = w.contiguous();
  Tensor y = at::empty({x.size(0), size[0], size[1], size[2], w.size(4)}, x.options());
  byType(x, [&](auto read, auto stored) {
    sumPhases<decltype(read), decltype(stored)>(x, zeros, w, axes, b.defined() ? b.data_ptr<float>() : nullptr, y);
  });
  return y;
}

} // namespace

bool tapsFit(at::IntArrayRef weights, const Size3& stride) {
  for (int axis = 0; axis < 3; axis++)
    if (weights[axis] < stride[axis]) return false;
  return weights[3] % 16 == 0 && weights[4] % 16 == 0;
}

Tensor gatherTaps(const Tensor& x, const Tensor& weights, const Size3& stride, const Border& zeros, const Tensor& bias) {
  Axes axes;
  Size3 size;
  for (int axis = 0; axis < 3; axis++) {
    int64_t whole = zeros.before[axis] + x.size(1 + axis) + zeros.after[axis], taps = weights.size(axis);
    size[axis] = (whole - taps) / stride[axis] + 1;
    axes[axis] = {1, stride[axis], {{0, size[axis], 0, {0, 1, taps}}}};
  }
  return sumTaps(x, zeros, weights, axes, size, bias);
}

Tensor spreadTaps(const Tensor& x, const Tensor& weights, const Size3& stride, const Size3& crop, const Size3& size,
                  const Tensor& bias) {
  Axes axes;
  Border zeros;
  for (int axis = 0; axis < 3; axis++) {
    int64_t step = stride[axis];
    int64_t &before = zeros.before[axis], &after = zeros.after[axis];
    axes[axis] = {step, 1, {}};
    for (int64_t phase = 0; phase < std::min(step, size[axis]); phase++) {
      int64_t rest = (phase + crop[axis]) % step, count = (weights.size(axis) - rest + step - 1) / step;
      int64_t shift = (phase + crop[axis]) / step - (count - 1), outputs = (size[axis] - phase + step - 1) / step;
      axes[axis].phases.push_back({phase, outputs, shift, {rest + step * (count - 1), -step, count}});
      before = std::max(before, -shift);
      after = std::max(after, outputs + count - 1 + shift - x.size(1 + axis));
    }
    for (Phase& phase : axes[axis].phases) phase.shift += before;
  }
  return sumTaps(x, zeros, weights, axes, size, bias);
}

Tensor transposedTaps(const Tensor& weights) {
  int64_t taps = weights.size(0) * weights.size(1) * weights.size(2), from = weights.size(3), to = weights.size(4);
  Tensor turned = at::empty({weights.size(0), weights.size(1), weights.size(2), to, from}, weights.options());
  const float* source = weights.data_ptr<float>();
  float* target = turned.data_ptr<float>();
  eachIndex(taps, 1, [&](int64_t tap) {
    transposeMatrix(source + tap * from * to, from, to, target + tap * from * to);
  });
  return turned;
}

} // namespace patchwise
