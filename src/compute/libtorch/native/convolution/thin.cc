#include "convolution/methods.h"
#include "norm/norm_rows.h"
#include "processor/multiply.h"
#include "processor/tasks.h"
#include "processor/transpose.h"

namespace patchwise {
namespace {

constexpr int kTaps = 27;
constexpr int64_t kColumns = 32; // taps in whole vectors
// Partial sums by this many shares, for any number of threads: all get the same result.
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

// What a row of inputs [width, channels] adds to the outputs it meets, by tap: products [32 taps, line], of which the
// first 27 are used. The weights are [channels, 32].
template <typename T>
void rowProducts(const T* x, const float* weights, int64_t width, int64_t channels, int64_t line, float* products) {
  constexpr int64_t kVoxels = 16;
  std::vector<float> values(kVoxels * channels), sums(kVoxels * kColumns, 0.f);
  for (int64_t v = 0; v < width; v += kVoxels) {
    int64_t count = std::min(kVoxels, width - v);
    for (int64_t i = 0; i < count * channels; i += kLanes) store(&values[i], load(x + v * channels + i));
    multiply({values.data(), channels, 1, weights, kColumns, sums.data(), kColumns, channels, false}, count, kColumns);
    for (int64_t column = 0; column < kColumns; column += 16)
      transposeBlock(&sums[column], kColumns, products + column * line + v, line);
  }
}

// y[v] = bias + sum of x[v + tap][c] * w[tap][c]. Multiplies every input once, by the weights of all taps. A row of
// outputs then adds up values of three planes of products.
template <typename T>
void planesToOne(const T* x, const Volume& volume, const float* w, float bias, int64_t channels, float* y) {
  int64_t height = volume.height + 2, width = volume.width + 2, line = upTo(width, 16);
  std::vector<float> weights(channels * kColumns, 0.f);
  Tensor planes = at::empty({3 * height * kColumns * line + kLanes}, at::kFloat); // a tensor, so that its memory is counted
  float* products = planes.data_ptr<float>();
  for (int64_t c = 0; c < channels; c++)
    for (int tap = 0; tap < kTaps; tap++) weights[c * kColumns + tap] = w[tap * channels + c];
  auto rowOf = [&](int64_t z, int64_t row) { return products + (z % 3 * height + row) * kColumns * line; };
  for (int64_t plane = 0; plane < volume.n * (volume.depth + 2); plane++) {
    int64_t z = plane % (volume.depth + 2) - 2; // of the outputs whose last plane of inputs this is
    eachIndex(height, 4, [&](int64_t row) {
      rowProducts(x + (plane * height + row) * width * channels, weights.data(), width, channels, line,
                  rowOf(plane, row));
    });
    if (z < 0) continue;
    float* target = y + (plane / (volume.depth + 2) * volume.depth + z) * volume.height * volume.width;
    eachIndex(volume.height, 16, [&](int64_t row) {
      for (int64_t v = 0; v < volume.width; v += kLanes) {
        Floats sum = all(bias);
        for (int tap = 0; tap < kTaps; tap++)
          sum += load(rowOf(plane - 2 + tap / 9, row + tap / 3 % 3) + tap * line + v + tap % 3);
        storeUpTo(target + row * volume.width + v, sum, (int)std::min<int64_t>(kLanes, volume.width - v));
      }
    });
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
  eachIndex(kTileShares, 1, [&](int64_t share) {
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

Thin thinFits(const Tensor& w, const Size3& stride) {
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
  withType(kind == Thin::kIn ? y : x, [&](auto stored) {
    using T = decltype(stored);
    if (kind == Thin::kOut)
      return planesToOne(x.data_ptr<T>(), volume, taps, start ? *start : 0.f, channels, y.data_ptr<float>());
    const float* from = x.data_ptr<float>();
    T* to = y.data_ptr<T>();
    eachIndex(volume.rows(), 8, [&](int64_t row) {
      rowFromOne(from + volume.origin(row), offsets, taps, start, volume.width, channels,
                 to + row * volume.width * channels);
    });
  });
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
  withType(dy, [&](auto stored) {
    using T = decltype(stored);
    sumOverRows(volume.rows(), kTaps * channels, dw.data_ptr<float>(), [&](int64_t row, float* sums) {
      rowWeightsFromOne(x.data_ptr<float>() + volume.origin(row), offsets, dy.data_ptr<T>() + row * width * channels, width,
                        channels, sums);
    });
  });
  return dw;
}

Tensor channelSums(const Tensor& dy) {
  int64_t channels = dy.size(-1), period = periodOf(channels), size = dy.numel();
  // Rows of whole periods, so that each starts at the first channel.
  int64_t length = std::min<int64_t>(size, std::max<int64_t>(1, 4096 / period) * period);
  Tensor out = at::zeros({channels}, dy.options().dtype(at::kFloat));
  if (size == 0) return out;
  std::vector<float> sums(period);
  withType(dy, [&](auto stored) {
    const auto* from = dy.data_ptr<decltype(stored)>();
    sumOverRows((size + length - 1) / length, period, sums.data(), [&](int64_t row, float* to) {
      Row part{std::min(length, size - row * length), period};
      eachVector(from + row * length, part, [&](Floats value, int64_t, int64_t lane, int) {
        store(to + lane, load(to + lane) + value);
      });
    });
  });
  for (int64_t i = 0; i < period; i++) out.data_ptr<float>()[i % channels] += sums[i];
  return out;
}

} // namespace patchwise
