#include "convolution/methods.h"
#include "processor/matrix_unit.h"
#include "processor/multiply.h"
#include "processor/tasks.h"

namespace patchwise {
namespace {

constexpr int64_t kSide = 64; // channels of each side at a time

// For each tap, the sum over rows of inputs, channels by voxels, times gradients, voxels by channels.
Tensor floatGradient(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride, const Size3& border) {
  int64_t in = x.size(4), out = dy.size(4);
  Tensor dw = at::zeros({kernel[0], kernel[1], kernel[2], in, out}, dy.options());
  int64_t ins = (in + kSide - 1) / kSide, outs = (out + kSide - 1) / kSide, rows = kernel[0] * kernel[1];
  eachIndex(ins * outs * rows, 1, [&](int64_t task) {
    int64_t i = task / rows / outs * kSide, o = task / rows % outs * kSide, row = task % rows;
    int64_t tz = row / kernel[1], ty = row % kernel[1];
    Reach zs(tz, stride[0], border[0], x.size(1), dy.size(1)), ys(ty, stride[1], border[1], x.size(2), dy.size(2));
    for (int64_t n = 0; n < x.size(0); n++)
      for (int64_t z = zs.first; z < zs.end; z++)
        for (int64_t y = ys.first; y < ys.end; y++) {
          const float* inputs = x.data_ptr<float>() + n * x.stride(0) + (z * stride[0] + tz - border[0]) * x.stride(1) +
                                (y * stride[1] + ty - border[1]) * x.stride(2) + i;
          const float* gradients = dy.data_ptr<float>() + n * dy.stride(0) + z * dy.stride(1) + y * dy.stride(2) + o;
          for (int64_t tx = 0; tx < kernel[2]; tx++) {
            Reach xs(tx, stride[2], border[2], x.size(3), dy.size(3));
            if (xs.end <= xs.first) continue;
            multiply({inputs + (xs.first * stride[2] + tx - border[2]) * in, 1, stride[2] * in,
                      gradients + xs.first * out, out,
                      dw.data_ptr<float>() + ((row * kernel[2] + tx) * in + i) * out + o, out,
                      xs.end - xs.first, true},
                     std::min(kSide, in - i), std::min(kSide, out - o));
          }
        }
  });
  return dw;
}

} // namespace

Tensor tapGradient(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride, const Size3& border,
                   Tensor* sums) {
  if (!hasMatrixUnit()) return floatGradient(x, dy, kernel, stride, border);
  return tileGradient(x, dy, kernel, stride, border, sums);
}

} // namespace patchwise
