#include "thin.h"
#include <ATen/Parallel.h>
#include "norm_rows.h"

namespace patchwise {
namespace {

using at::Tensor;
constexpr int kTaps = 27;
// Partial sums by this many shares, whatever the threads: the same result on all.
constexpr int64_t kTileShares = 64;

// Where the taps of an output voxel are in the bordered input, in voxels from its first.
struct Taps {
  int64_t offset[kTaps];
  Taps(int64_t fullHeight, int64_t fullWidth) {
    for (int tap = 0; tap < kTaps; tap++)
      offset[tap] = ((tap / 9) * fullHeight + tap / 3 % 3) * fullWidth + tap % 3;
  }
};

struct Volume {
  int64_t n, depth, height, width; // of the output
  int64_t rows() const { return n * depth * height; }
  // First voxel of the bordered input that a row of the output reads.
  int64_t origin(int64_t row) const {
    int64_t sample = row / (depth * height), z = row / height % depth, y = row % height;
    return ((sample * (depth + 2) + z) * (height + 2) + y) * (width + 2);
  }
  Taps taps() const { return Taps(height + 2, width + 2); }
};

// y[v][c] = bias[c] + sum of x[v + tap] * w[tap][c]
template <typename T>
void rowFromOne(const float* x, const Taps& taps, const float* w, const float* bias, int64_t width, int64_t channels,
                T* y) {
  constexpr int kVoxels = 6; // accumulators that fit the registers
  for (int64_t c = 0; c < channels; c += kLanes) {
    Floats start = bias ? load(bias + c) : Floats{};
    int64_t v = 0;
    for (; v + kVoxels <= width; v += kVoxels) {
      Floats sums[kVoxels];
      for (auto& sum : sums) sum = start;
      for (int tap = 0; tap < kTaps; tap++) {
        Floats weight = load(w + tap * channels + c);
        const float* from = x + taps.offset[tap] + v;
        for (int i = 0; i < kVoxels; i++) sums[i] += weight * from[i];
      }
      for (int i = 0; i < kVoxels; i++) store(y + (v + i) * channels + c, sums[i]);
    }
    for (; v < width; v++) {
      Floats sum = start;
      for (int tap = 0; tap < kTaps; tap++) sum += load(w + tap * channels + c) * x[taps.offset[tap] + v];
      store(y + v * channels + c, sum);
    }
  }
}

// y[v] = bias + sum of x[v + tap][c] * w[tap][c]
template <typename T>
void rowToOne(const T* x, const Taps& taps, const float* w, float bias, int64_t width, int64_t channels, float* y) {
  constexpr int kVoxels = 4;
  for (int64_t v = 0; v < width; v += kVoxels) {
    Floats sums[kVoxels] = {};
    int count = (int)std::min<int64_t>(kVoxels, width - v);
    for (int tap = 0; tap < kTaps; tap++)
      for (int64_t c = 0; c < channels; c += kLanes) {
        Floats weight = load(w + tap * channels + c);
        const T* from = x + (taps.offset[tap] + v) * channels + c;
        for (int i = 0; i < count; i++) sums[i] += weight * load(from + i * channels);
      }
    for (int i = 0; i < count; i++) y[v + i] = bias + total(sums[i]);
  }
}

// dw[tap][c] += x[v + tap] * dy[v][c]
template <typename T>
void rowWeightsFromOne(const float* x, const Taps& taps, const T* dy, int64_t width, int64_t channels, float* dw) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    Floats sums[kTaps];
    for (int tap = 0; tap < kTaps; tap++) sums[tap] = load(dw + tap * channels + c);
    for (int64_t v = 0; v < width; v++) {
      Floats gradient = load(dy + v * channels + c);
#pragma GCC unroll 27
      for (int tap = 0; tap < kTaps; tap++) sums[tap] += gradient * x[taps.offset[tap] + v];
    }
    for (int tap = 0; tap < kTaps; tap++) store(dw + tap * channels + c, sums[tap]);
  }
}

// Sums of `size` floats that body(row, sums) adds to, over all rows.
template <typename Body>
void sumOverRows(int64_t rows, int64_t size, float* out, Body body) {
  std::vector<float> parts(kTileShares * size, 0.f);
  at::parallel_for(0, kTileShares, 1, [&](int64_t from, int64_t to) {
    for (int64_t share = from; share < to; share++)
      for (int64_t row = rows * share / kTileShares; row < rows * (share + 1) / kTileShares; row++)
        body(row, &parts[share * size]);
  });
  for (int64_t i = 0; i < size; i++) {
    double sum = 0;
    for (int64_t share = 0; share < kTileShares; share++) sum += parts[share * size + i];
    out[i] = (float)sum;
  }
}

} // namespace

Thin thinKind(const Tensor& w, const std::array<int64_t, 3>& stride) {
  for (int axis = 0; axis < 3; axis++)
    if (w.size(axis) != 3 || stride[axis] != 1) return Thin::kNo;
  if (w.size(3) == 1 && w.size(4) % kLanes == 0) return Thin::kIn;
  if (w.size(4) == 1 && w.size(3) % kLanes == 0) return Thin::kOut;
  return Thin::kNo;
}

Tensor thinConvolve(const Tensor& x, const Tensor& weights, const Tensor& bias, Thin kind, at::ScalarType type) {
  Tensor w = weights.contiguous(), b = bias.defined() ? bias.contiguous() : bias;
  Volume volume{x.size(0), x.size(1) - 2, x.size(2) - 2, x.size(3) - 2};
  Tensor y = at::empty({volume.n, volume.depth, volume.height, volume.width, w.size(4)}, x.options().dtype(type));
  const float* taps = w.data_ptr<float>();
  const float* start = b.defined() ? b.data_ptr<float>() : nullptr;
  int64_t channels = kind == Thin::kIn ? w.size(4) : w.size(3);
  Taps offsets = volume.taps();
  auto run = [&](auto example) {
    using T = decltype(example);
    at::parallel_for(0, volume.rows(), 8, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++) {
        int64_t origin = volume.origin(row);
        if (kind == Thin::kIn)
          rowFromOne(x.data_ptr<float>() + origin, offsets, taps, start, volume.width, channels,
                     y.data_ptr<T>() + row * volume.width * channels);
        else
          rowToOne(x.data_ptr<T>() + origin * channels, offsets, taps, start ? *start : 0.f, volume.width, channels,
                   y.data_ptr<float>() + row * volume.width);
      }
    });
  };
  if ((kind == Thin::kIn ? y : x).scalar_type() == at::kBFloat16) run(BFloat16());
  else run(0.f);
  return y;
}

Tensor thinInputGradient(const Tensor& dy, const Tensor& weights, at::ScalarType type) {
  // Every voxel of x gathers from the outputs it went to: the same convolution backwards, from one channel to many.
  Tensor flipped = weights.flip({0, 1, 2}).reshape({3, 3, 3, 1, weights.size(3)});
  return thinConvolve(at::constant_pad_nd(dy, {0, 0, 2, 2, 2, 2, 2, 2}), flipped, Tensor(), Thin::kIn, type);
}

Tensor thinWeightGradient(const Tensor& x, const Tensor& dy, const Tensor& weights, Thin kind) {
  if (kind == Thin::kOut) {
    // Every input meets the outputs it went to: the same sums backwards, each wide voxel read once for all taps.
    Tensor around = at::constant_pad_nd(dy, {0, 0, 2, 2, 2, 2, 2, 2});
    return thinWeightGradient(around, x, weights.transpose(3, 4), Thin::kIn).flip({0, 1, 2}).reshape(weights.sizes());
  }
  Volume volume{dy.size(0), dy.size(1), dy.size(2), dy.size(3)};
  int64_t channels = weights.size(4), width = volume.width;
  Tensor dw = at::empty(weights.sizes(), dy.options().dtype(at::kFloat));
  Taps offsets = volume.taps();
  auto run = [&](auto example) {
    using T = decltype(example);
    sumOverRows(volume.rows(), kTaps * channels, dw.data_ptr<float>(), [&](int64_t row, float* sums) {
      rowWeightsFromOne(x.data_ptr<float>() + volume.origin(row), offsets, dy.data_ptr<T>() + row * width * channels, width,
                        channels, sums);
    });
  };
  if (dy.scalar_type() == at::kBFloat16) run(BFloat16());
  else run(0.f);
  return dw;
}

Tensor channelSums(const Tensor& dy) {
  int64_t channels = dy.size(-1), period = periodOf(channels), size = dy.numel();
  // Rows of whole periods, so that each starts at the first channel.
  int64_t length = std::min<int64_t>(size, std::max<int64_t>(1, 4096 / period) * period);
  Tensor out = at::zeros({channels}, dy.options().dtype(at::kFloat));
  if (size == 0) return out;
  std::vector<float> sums(period);
  auto run = [&](auto example) {
    const auto* from = dy.data_ptr<decltype(example)>();
    sumOverRows((size + length - 1) / length, period, sums.data(), [&](int64_t row, float* to) {
      int64_t lane = 0;
      Row part{std::min(length, size - row * length), period};
      eachVector(from + row * length, part, [&](Floats value, int64_t, int) {
        store(to + lane, load(to + lane) + value);
        lane = lane + kLanes == period ? 0 : lane + kLanes;
      });
    });
  };
  if (dy.scalar_type() == at::kBFloat16) run(BFloat16());
  else run(0.f);
  for (int64_t i = 0; i < period; i++) out.data_ptr<float>()[i % channels] += sums[i];
  return out;
}

} // namespace patchwise
