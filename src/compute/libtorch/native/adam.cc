// The optimiser's step where the weights are.
#include <ATen/Parallel.h>
#include <cmath>
#include <vector>
#include "simd.h"
#include "table.h"

namespace patchwise {
namespace {

struct Step {
  float rate, beta1, beta2, correction, epsilon;
  float shrink; // of the weight before it moves: decoupled weight decay
  float pull;   // of the weight on the gradient: plain weight decay
  float scale;  // of the gradient: clipping
};

void move(const Step& s, const float* w, const float* g, const float* m, const float* v, int64_t from, int64_t to,
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

// (w, g, m, v, rate, beta1, beta2, correction, epsilon, shrink, pull, scale) -> the next w, m, v
void adam(Call& call) {
  Tensor w = call.tensor(0).contiguous(), g = call.tensor(1).contiguous();
  Tensor m = call.tensor(2).contiguous(), v = call.tensor(3).contiguous();
  auto at = [&](size_t i) { return (float)call.number(i); };
  Step s{at(4), at(5), at(6), at(7), at(8), at(9), at(10), at(11)};
  TORCH_CHECK(w.sizes() == g.sizes() && w.sizes() == m.sizes() && w.sizes() == v.sizes(), "w, g, m, v of one shape");
  if (!call.environment.ownLoops) {
    Tensor gradient = s.pull ? g * s.scale + w * s.pull : g * s.scale;
    Tensor first = m * s.beta1 + gradient * (1 - s.beta1);
    Tensor second = (v * s.beta2).addcmul_(gradient, gradient, 1 - s.beta2);
    call.result((w * s.shrink).addcdiv_(first, second.sqrt().mul_(s.correction).add_(s.epsilon), -s.rate));
    call.result(first);
    call.result(second);
    return;
  }
  Tensor next[3] = {at::empty_like(w), at::empty_like(m), at::empty_like(v)};
  float *to = next[0].data_ptr<float>(), *first = next[1].data_ptr<float>(), *second = next[2].data_ptr<float>();
  at::parallel_for(0, w.numel(), 1 << 14, [&](int64_t start, int64_t end) {
    move(s, w.data_ptr<float>(), g.data_ptr<float>(), m.data_ptr<float>(), v.data_ptr<float>(), start, end, to, first,
         second);
  });
  for (Tensor& tensor : next) call.result(tensor);
}

// Squares that are added in single precision before they join the sum, and of how many a thread adds up the runs.
constexpr int64_t kRun = 1024, kPart = 64 * kRun;

// The sum of `count` squares.
double sumOfSquares(const float* values, int64_t count) {
  double sum = 0;
  for (int64_t start = 0; start < count; start += kRun) {
    Floats some{};
    int64_t end = std::min(start + kRun, count), i = start;
    for (; i + kLanes <= end; i += kLanes) some += load(values + i) * load(values + i);
    for (; i < end; i++) sum += (double)values[i] * values[i];
    sum += total(some);
  }
  return sum;
}

// ([tensors]) -> the sum of all their squares, in double precision over runs, as a number
void squares(Call& call) {
  double sum = 0;
  Tensor onDevice;
  for (const Tensor& tensor : call.tensors(0)) {
    if (onCpu(tensor)) {
      Tensor dense = tensor.contiguous();
      const float* values = dense.data_ptr<float>();
      std::vector<double> parts((dense.numel() + kPart - 1) / kPart);
      at::parallel_for(0, (int64_t)parts.size(), 1, [&](int64_t start, int64_t end) {
        for (int64_t i = start; i < end; i++)
          parts[i] = sumOfSquares(values + i * kPart, std::min(kPart, dense.numel() - i * kPart));
      });
      for (double part : parts) sum += part;
    } else {
      // One wait for the device, not one a tensor.
      Tensor own = tensor.square().sum(at::kDouble);
      onDevice = onDevice.defined() ? onDevice + own : own;
    }
  }
  if (onDevice.defined()) sum += onDevice.item<double>();
  napi_value number;
  napi_create_double(call.env, sum, &number);
  call.answer(number);
}

} // namespace

void addOptimiser(Exports& exports) {
  exports.push_back({"", "adam", adam});
  exports.push_back({"", "squares", squares});
}

} // namespace patchwise
