#include "taps.h"
#include <cstring>
#include "tap_sums.h"

namespace patchwise {
namespace {

// What sums read: [part, n, d, h, w, c].
Steps stepsOf(const Tensor& x) { return {x.stride(-5), x.stride(-4), x.stride(-3), x.stride(-2)}; }

template <typename X, typename Y>
void gatherAs(const Tensor& field, const Tensor& w, const Size3& stride, const float* bias, Tensor& y) {
  Steps in = stepsOf(field);
  TapRows taps;
  for (int axis = 0; axis < 3; axis++) taps[axis] = {0, 1, w.size(axis)};
  sumGrid<X, Y>({field.data_ptr<X>(), field.stride(0),
                 {in.n, in.z * stride[0], in.y * stride[1], in.x * stride[2]},
                 in.z, in.y, w.size(0), w.size(1), w.size(2) * w.size(3),
                 y.data_ptr<Y>(), stepsOf(y), y.size(0), y.size(1), y.size(2), y.size(3)},
                TapSums<X, Y>::pack(w, taps), bias);
}

// Outputs `stride` apart along an axis have the same taps, a phase: output stride * i + phase is the sum over j of input
// i + shift + j times the j-th of its taps.
struct Phase {
  int64_t outputs, shift;
  TapRow taps;
};
using Phases = std::array<std::vector<Phase>, 3>;

template <typename X, typename Y>
void spreadAs(const Tensor& field, const Tensor& w, const Phases& phases, const Size3& stride, const float* bias,
              Tensor& y) {
  Steps in = stepsOf(field), to = stepsOf(y);
  for (size_t i = 0; i < phases[0].size(); i++)
    for (size_t j = 0; j < phases[1].size(); j++)
      for (size_t k = 0; k < phases[2].size(); k++) {
        const Phase &pz = phases[0][i], &py = phases[1][j], &px = phases[2][k];
        sumGrid<X, Y>({field.data_ptr<X>() + pz.shift * in.z + py.shift * in.y + px.shift * in.x, field.stride(0), in,
                       in.z, in.y, pz.taps.count, py.taps.count, px.taps.count * w.size(3),
                       y.data_ptr<Y>() + i * to.z + j * to.y + k * to.x,
                       {to.n, to.z * stride[0], to.y * stride[1], to.x * stride[2]},
                       y.size(0), pz.outputs, py.outputs, px.outputs},
                      TapSums<X, Y>::pack(w, {pz.taps, py.taps, px.taps}), bias);
      }
}

// Calls run(X(), Y()) for the types that x is read in and stored in.
template <typename Run>
void byType(const Tensor& x, Run run) {
#if PATCHWISE_TILES
  if (x.scalar_type() == at::kBFloat16) return run(BFloat16(), BFloat16());
  if (hasMatrixUnit()) return run(BFloat16(), float());
#endif
  run(float(), float());
}

// Calls row(i, from) for every row i of x with zeros before and after it; `from` is x's row in it, or null if there is none.
template <typename Row>
void eachBorderedRow(const Tensor& x, const Size3& before, const Size3& after, Row row) {
  int64_t depth = before[0] + x.size(1) + after[0], height = before[1] + x.size(2) + after[1];
  const char* data = (const char*)x.data_ptr();
  int64_t bytes = x.size(3) * x.size(4) * x.element_size();
  at::parallel_for(0, x.size(0) * depth * height, 16, [&](int64_t start, int64_t end) {
    for (int64_t i = start; i < end; i++) {
      int64_t n = i / (depth * height), z = i / height % depth - before[0], y = i % height - before[1];
      bool inside = z >= 0 && y >= 0 && z < x.size(1) && y < x.size(2);
      row(i, inside ? data + ((n * x.size(1) + z) * x.size(2) + y) * bytes : nullptr);
    }
  });
}

Sizes borderedSizes(const Tensor& x, const Size3& before, const Size3& after) {
  Sizes sizes = x.sizes().vec();
  for (int axis = 0; axis < 3; axis++) sizes[1 + axis] += before[axis] + after[axis];
  return sizes;
}

#if PATCHWISE_TILES
// Floats x with zeros around it, in parts.
Tensor partsOf(const Tensor& x, const Size3& before, const Size3& after) {
  Sizes sizes = borderedSizes(x, before, after);
  sizes.insert(sizes.begin(), kParts<float>);
  Tensor to = at::empty(sizes, x.options().dtype(at::kBFloat16));
  BFloat16* target = to.data_ptr<BFloat16>();
  int64_t part = to.stride(0), whole = to.stride(3), left = before[2] * x.size(4), row = x.size(3) * x.size(4);
  eachBorderedRow(x, before, after, [&](int64_t i, const char* from) {
    BFloat16* out = target + i * whole;
    for (int p = 0; p < kParts<float>; p++)
      std::memset(out + p * part, 0, 2 * (from ? left : whole));
    if (!from) return;
    for (int64_t j = 0; j < row; j += kLanes) {
      Floats values = load((const float*)from + j);
      for (int p = 0; p < kParts<float>; p++) {
        store(out + p * part + left + j, values);
        values -= nearestHalf(values);
      }
    }
    for (int p = 0; p < kParts<float>; p++)
      std::memset(out + p * part + left + row, 0, 2 * (whole - left - row));
  });
  return to;
}
#endif

// x with zeros around it as sums read it.
Tensor fieldOf(const Tensor& x, const Size3& before, const Size3& after) {
#if PATCHWISE_TILES
  if (x.scalar_type() == at::kFloat && hasMatrixUnit()) return partsOf(x, before, after);
#endif
  return zeroBordered(x, before, after).unsqueeze(0);
}

Tensor floatsOf(const Tensor& weights) { return weights.to(at::kFloat).contiguous(); }

} // namespace

bool tapsFit(at::IntArrayRef weights, const Size3& stride) {
  for (int axis = 0; axis < 3; axis++)
    if (weights[axis] < stride[axis]) return false;
  return weights[3] % 16 == 0 && weights[4] % 16 == 0;
}

Tensor gatherTaps(const Tensor& x, const Tensor& weights, const Size3& stride, const Tensor& bias) {
  Tensor w = floatsOf(weights), b = bias.defined() ? bias.contiguous() : bias;
  Sizes size{x.size(0)};
  for (int axis = 0; axis < 3; axis++) size.push_back((x.size(1 + axis) - w.size(axis)) / stride[axis] + 1);
  size.push_back(w.size(4));
  Tensor y = at::empty(size, x.options());
  const float* start = b.defined() ? b.data_ptr<float>() : nullptr;
  Tensor field = fieldOf(x, {0, 0, 0}, {0, 0, 0});
  byType(x, [&](auto read, auto stored) { gatherAs<decltype(read), decltype(stored)>(field, w, stride, start, y); });
  return y;
}

Tensor spreadTaps(const Tensor& x, const Tensor& weights, const Size3& stride, const Size3& crop, const Size3& size,
                  const Tensor& bias) {
  Tensor w = floatsOf(weights), b = bias.defined() ? bias.contiguous() : bias;
  Phases phases;
  Size3 before{0, 0, 0}, after{0, 0, 0};
  for (int axis = 0; axis < 3; axis++) {
    int64_t step = stride[axis];
    for (int64_t phase = 0; phase < std::min(step, size[axis]); phase++) {
      int64_t rest = (phase + crop[axis]) % step, count = (w.size(axis) - rest + step - 1) / step;
      int64_t shift = (phase + crop[axis]) / step - (count - 1), outputs = (size[axis] - phase + step - 1) / step;
      phases[axis].push_back({outputs, shift, {rest + step * (count - 1), -step, count}});
      before[axis] = std::max(before[axis], -shift);
      after[axis] = std::max(after[axis], outputs + count - 1 + shift - x.size(1 + axis));
    }
    for (Phase& phase : phases[axis]) phase.shift += before[axis];
  }
  Tensor field = fieldOf(x, before, after);
  Tensor y = at::empty({x.size(0), size[0], size[1], size[2], w.size(4)}, x.options());
  const float* start = b.defined() ? b.data_ptr<float>() : nullptr;
  byType(x, [&](auto read, auto stored) {
    spreadAs<decltype(read), decltype(stored)>(field, w, phases, stride, start, y);
  });
  return y;
}

Tensor zeroBordered(const Tensor& x, const Size3& before, const Size3& after) {
  if (Border{before, after}.empty()) return x;
  Tensor to = at::empty(borderedSizes(x, before, after), x.options());
  char* target = (char*)to.data_ptr();
  int64_t voxel = x.size(4) * x.element_size(), row = x.size(3) * voxel, left = before[2] * voxel;
  int64_t right = after[2] * voxel, whole = left + row + right;
  eachBorderedRow(x, before, after, [&](int64_t i, const char* from) {
    char* out = target + i * whole;
    if (!from) return (void)std::memset(out, 0, whole);
    std::memset(out, 0, left);
    std::memcpy(out + left, from, row);
    std::memset(out + left + row, 0, right);
  });
  return to;
}

} // namespace patchwise
