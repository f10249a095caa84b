// GroupNorm (+ SiLU) on one row [w, c], as a flat run of values. Coefficients by channel are repeated to `period` floats,
// a common multiple of the channels and the vector's lanes, so that any channel count runs in whole vectors.
#pragma once
#include <cstring>
#include <numeric>
#include <vector>
#include "processor/simd.h"

namespace patchwise {

struct Row {
  int64_t size;
  int64_t period;
};

inline int64_t periodOf(int64_t channels) { return std::lcm(channels, (int64_t)kLanes); }

inline std::vector<float> repeated(const std::vector<float>& byChannel) {
  std::vector<float> out(periodOf((int64_t)byChannel.size()));
  for (size_t i = 0; i < out.size(); i++) out[i] = byChannel[i % byChannel.size()];
  return out;
}

// Calls step(values of `from` at, at, at % period, how many are real) for each vector of the row; the last is filled with
// zeros.
template <typename T, typename Step>
PATCHWISE_INLINE void eachVector(const T* from, Row row, Step step) {
  int64_t at = 0, lane = 0;
  for (; at + kLanes <= row.size; at += kLanes, lane = lane + kLanes == row.period ? 0 : lane + kLanes)
    step(load(from + at), at, lane, kLanes);
  if (at < row.size) step(loadSome(from + at, (int)(row.size - at)), at, lane, (int)(row.size - at));
}

// Adds the sums of (x - shift) and of its square to sums [period] and squares [period].
template <typename X>
inline void rowSums(const X* x, const float* shift, Row row, double* sums, double* squares) {
  for (int64_t lane = 0; lane < row.period && lane < row.size; lane += kLanes) {
    Floats origin = load(shift + lane), sum{}, square{};
    int64_t at = lane;
    for (; at + kLanes <= row.size; at += row.period) {
      Floats value = load(x + at) - origin;
      sum += value;
      square += value * value;
    }
    for (int i = 0; i < kLanes; i++) {
      sums[lane + i] += sum[i];
      squares[lane + i] += square[i];
    }
    for (int i = 0; at + i < row.size && i < kLanes; i++) {
      double value = (float)x[at + i] - shift[lane + i];
      sums[lane + i] += value;
      squares[lane + i] += value * value;
    }
  }
}

// y = x * a + b, then SiLU if kSilu.
template <bool kSilu, typename X, typename Y>
inline void rowApply(const X* x, const float* a, const float* b, Row row, Y* y) {
  eachVector(x, row, [&](Floats value, int64_t at, int64_t lane, int count) {
    Floats t = value * load(a + lane) + load(b + lane);
    storeUpTo(y + at, kSilu ? t * sigmoid(t) : t, count);
  });
}

struct GradientRow {
  const float* a;      // gamma * scale
  const float* b;      // beta - mean * a
  const float* mean;
  const float* scale;
};

// The gradient before the affine part, dt, and its sums alone and times the normalised x.
template <bool kSilu, typename Y, typename X>
inline void rowGradient(const Y* dy, const X* x, GradientRow by, Row row, X* dt, double* sums, double* products) {
  auto step = [&](Floats g, Floats value, int64_t lane, Floats& sum, Floats& product) {
    if (kSilu) {
      Floats t = value * load(by.a + lane) + load(by.b + lane);
      Floats s = sigmoid(t);
      g = g * s * (1.f + t * (1.f - s));
    }
    sum += g;
    product += g * (value - load(by.mean + lane)) * load(by.scale + lane);
    return g;
  };
  for (int64_t lane = 0; lane < row.period && lane < row.size; lane += kLanes) {
    Floats sum{}, product{};
    int64_t at = lane;
    for (; at + kLanes <= row.size; at += row.period) store(dt + at, step(load(dy + at), load(x + at), lane, sum, product));
    if (at < row.size) {
      // Behind the last voxel gradients are zero, so the sums are right.
      int rest = (int)(row.size - at);
      storeSome(dt + at, step(loadSome(dy + at, rest), loadSome(x + at, rest), lane, sum, product), rest);
    }
    for (int i = 0; i < kLanes; i++) {
      sums[lane + i] += sum[i];
      products[lane + i] += product[i];
    }
  }
}

// dx = dt * p + x * q + r, in place of dt.
template <typename X>
inline void rowInputGradient(const X* x, const float* p, const float* q, const float* r, Row row, X* dt) {
  eachVector(x, row, [&](Floats value, int64_t at, int64_t lane, int count) {
    Floats g = count == kLanes ? load(dt + at) : loadSome(dt + at, count);
    storeUpTo(dt + at, g * load(p + lane) + value * load(q + lane) + load(r + lane), count);
  });
}

} // namespace patchwise
