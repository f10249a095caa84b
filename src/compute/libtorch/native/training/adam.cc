// The optimiser's step where the weights are.
#include <cmath>
#include "binding/call.h"
#include "processor/simd.h"
#include "processor/tasks.h"

namespace patchwise {
namespace {

struct AdamStep {
  float rate, beta1, beta2, correction, epsilon;
  float shrink; // of the weight before it moves: decoupled weight decay
  float pull;   // of the weight on the gradient: plain weight decay
  float scale;  // of the gradient: clipping
};

void move(const AdamStep& s, const float* w, const float* g, const float* m, const float* v, int64_t from, int64_t to,
          float* wOut, float* mOut, float* vOut) {
  for (int64_t i = from; i < to; i++) {
    float gradient = s.scale * g[i] + s.pull * w[i];
    float first = s.beta1 * m[i] + (1 - s.beta1) * gradient;
    float second = s.beta2 * v[i] + (1 - s.beta2) * gradient * gradient;
    mOut[i] = first;
    vOut[i] = second;
    wOut[i] = s.shrink * w[i] - s.rate * first / (std::sqrt(second) * s.correction + s.epsilon);
  }
}

// The next w, m, v.
Results adam(Tensor w, Tensor g, Tensor m, Tensor v, std::vector<double> step) {
  w = w.contiguous(), g = g.contiguous(), m = m.contiguous(), v = v.contiguous();
  TORCH_CHECK(step.size() == 8, "a step of 8 numbers expected");
  auto part = [&](size_t i) { return (float)step[i]; };
  AdamStep s{part(0), part(1), part(2), part(3), part(4), part(5), part(6), part(7)};
  TORCH_CHECK(w.sizes() == g.sizes() && w.sizes() == m.sizes() && w.sizes() == v.sizes(), "w, g, m, v of one shape");
  if (!takesOwnLoops(w)) {
    Tensor gradient = s.pull ? g * s.scale + w * s.pull : g * s.scale;
    Tensor first = m * s.beta1 + gradient * (1 - s.beta1);
    Tensor second = (v * s.beta2).addcmul_(gradient, gradient, 1 - s.beta2);
    return {(w * s.shrink).addcdiv_(first, second.sqrt().mul_(s.correction).add_(s.epsilon), -s.rate), first, second};
  }
  Tensor nextW = at::empty_like(w), nextM = at::empty_like(m), nextV = at::empty_like(v);
  float *to = nextW.data_ptr<float>(), *first = nextM.data_ptr<float>(), *second = nextV.data_ptr<float>();
  at::parallel_for(0, w.numel(), 1 << 14, [&](int64_t start, int64_t end) {
    move(s, w.data_ptr<float>(), g.data_ptr<float>(), m.data_ptr<float>(), v.data_ptr<float>(), start, end, to, first,
         second);
  });
  return {nextW, nextM, nextV};
}

// Squares that are added in single precision before they join the sum, and those that a thread adds at a time.
constexpr int64_t kRun = 1024, kPart = 64 * kRun;

// Sums that are kept side by side: as many on every processor, because ranks on processors of two kinds must agree.
constexpr int kSums = 16;

// The sum of `count` squares.
double sumOfSquares(const float* values, int64_t count) {
  double sum = 0;
  for (int64_t start = 0; start < count; start += kRun) {
    Floats some[kSums / kLanes] = {};
    int64_t end = std::min(start + kRun, count), i = start;
    for (; i + kSums <= end; i += kSums)
      for (int at = 0; at < kSums / kLanes; at++) {
        Floats part = load(values + i + at * kLanes);
        some[at] += part * part;
      }
    for (; i < end; i++) sum += (double)values[i] * values[i];
    for (const Floats& part : some)
      for (int lane = 0; lane < kLanes; lane++) sum += part[lane];
  }
  return sum;
}

// The sum of the squares of all values of all tensors, in double precision over runs.
double squares(std::vector<Tensor> tensors) {
  double sum = 0;
  Tensor onDevice;
  for (const Tensor& tensor : tensors) {
    if (takesOwnLoops(tensor)) {
      Tensor dense = tensor.contiguous();
      const float* values = dense.data_ptr<float>();
      std::vector<double> parts((dense.numel() + kPart - 1) / kPart);
      eachIndex((int64_t)parts.size(), 1, [&](int64_t i) {
        parts[i] = sumOfSquares(values + i * kPart, std::min(kPart, dense.numel() - i * kPart));
      });
      for (double part : parts) sum += part;
    } else {
      // Wait for the device once, not once for each tensor.
      Tensor own = tensor.square().sum(at::kDouble);
      onDevice = onDevice.defined() ? onDevice + own : own;
    }
  }
  return onDevice.defined() ? sum + onDevice.item<double>() : sum;
}

const Exports optimiser{"", {{"squares", squares}}};
const Exports steps{"kernels", {{"adam", adam}}};

} // namespace
} // namespace patchwise
