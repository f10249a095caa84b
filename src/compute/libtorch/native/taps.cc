#include "taps.h"
#include <cstring>
#include "tap_sums.h"

namespace patchwise {
namespace {

Steps stepsOf(const Tensor& x) { return {x.stride(0), x.stride(1), x.stride(2), x.stride(3)}; }

template <typename T>
void gatherAs(const Tensor& x, const Tensor& w, const Size3& stride, const float* bias, Tensor& y) {
  Steps in = stepsOf(x);
  TapRows taps;
  for (int axis = 0; axis < 3; axis++) taps[axis] = {0, 1, w.size(axis)};
  sumGrid<T>({x.data_ptr<T>(),
              {in.n, in.z * stride[0], in.y * stride[1], in.x * stride[2]},
              in.z, in.y, w.size(0), w.size(1), w.size(2) * w.size(3),
              y.data_ptr<T>(), stepsOf(y), y.size(0), y.size(1), y.size(2), y.size(3)},
             packWeights(w, taps, T()), bias);
}

// Outputs `stride` apart along an axis have the same taps, a phase: output stride * i + phase is the sum over j of input
// i + shift + j times the j-th of its taps.
struct Phase {
  int64_t outputs, shift;
  TapRow taps;
};
using Phases = std::array<std::vector<Phase>, 3>;

template <typename T>
void spreadAs(const Tensor& field, const Tensor& w, const Phases& phases, const Size3& stride, const float* bias,
            Tensor& y) {
  Steps in = stepsOf(field), to = stepsOf(y);
  for (size_t i = 0; i < phases[0].size(); i++)
    for (size_t j = 0; j < phases[1].size(); j++)
      for (size_t k = 0; k < phases[2].size(); k++) {
        const Phase &pz = phases[0][i], &py = phases[1][j], &px = phases[2][k];
        sumGrid<T>({field.data_ptr<T>() + pz.shift * in.z + py.shift * in.y + px.shift * in.x, in,
                    in.z, in.y, pz.taps.count, py.taps.count, px.taps.count * w.size(3),
                    y.data_ptr<T>() + i * to.z + j * to.y + k * to.x,
                    {to.n, to.z * stride[0], to.y * stride[1], to.x * stride[2]},
                    y.size(0), pz.outputs, py.outputs, px.outputs},
                   packWeights(w, {pz.taps, py.taps, px.taps}, T()), bias);
      }
}

// Calls run(T()) for the type that x is stored in.
template <typename Run>
void byType(const Tensor& x, Run run) {
#if PATCHWISE_TILES
  if (x.scalar_type() == at::kBFloat16) return run(BFloat16());
#endif
  run(float());
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
  byType(x, [&](auto type) { gatherAs<decltype(type)>(x, w, stride, start, y); });
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
  Tensor field = zeroBordered(x, before, after), y = at::empty({x.size(0), size[0], size[1], size[2], w.size(4)}, x.options());
  const float* start = b.defined() ? b.data_ptr<float>() : nullptr;
  byType(x, [&](auto type) { spreadAs<decltype(type)>(field, w, phases, stride, start, y); });
  return y;
}

Tensor zeroBordered(const Tensor& x, const Size3& before, const Size3& after) {
  if (Border{before, after}.empty()) return x;
  int64_t depth = x.size(1) + before[0] + after[0], height = x.size(2) + before[1] + after[1];
  int64_t voxel = x.size(4) * x.element_size(), row = x.size(3) * voxel, left = before[2] * voxel;
  int64_t right = after[2] * voxel, whole = left + row + right;
  Tensor to = at::empty({x.size(0), depth, height, x.size(3) + before[2] + after[2], x.size(4)}, x.options());
  const char* source = (const char*)x.data_ptr();
  char* target = (char*)to.data_ptr();
  at::parallel_for(0, x.size(0) * depth * height, 16, [&](int64_t start, int64_t end) {
    for (int64_t i = start; i < end; i++) {
      char* out = target + i * whole;
      int64_t n = i / (depth * height), z = i / height % depth - before[0], y = i % height - before[1];
      if (z < 0 || y < 0 || z >= x.size(1) || y >= x.size(2)) {
        std::memset(out, 0, whole);
        continue;
      }
      std::memset(out, 0, left);
      std::memcpy(out + left, source + ((n * x.size(1) + z) * x.size(2) + y) * row, row);
      std::memset(out + left + row, 0, right);
    }
  });
  return to;
}

} // namespace patchwise
