// Sums over rows of taps at the points of a regular grid: of floats in vectors, of bfloat16 by the matrix unit.
#pragma once
#include <ATen/Parallel.h>
#include "matrix_unit.h"
#include "multiply.h"
#include "table.h"

namespace patchwise {

// Which of the kernel's taps along an axis are used, in which order.
struct TapRow {
  int64_t first, step, count;
};
using TapRows = std::array<TapRow, 3>;

// Elements from voxel to voxel along each axis.
struct Steps {
  int64_t n, z, y, x;
};

// Outputs on a regular grid, each the sum over rows of taps, of which every row is `run` inputs on end.
template <typename T>
struct Grid {
  const T* x;
  Steps from;         // inputs of one output to those of the next
  int64_t tapZ, tapY; // elements from one row of taps to the next
  int64_t depth, height, run;
  T* y;
  Steps to;
  int64_t n, d, h, w; // outputs
};

constexpr int64_t kBlock = 32; // outputs, and their channels, that are summed together

// Weights [kd, kh, kw, from, to] as blocks of channels by the row of taps by the inputs of a run; `pack(in, out, step,
// inputs)` writes a tap's inputs of `kWidth` channels or those that are left, `step` floats from input to input.
template <typename T, int64_t kWidth, typename Pack>
Tensor packBlocks(const Tensor& w, const TapRows& taps, Pack pack) {
  int64_t from = w.size(3), to = w.size(4), height = taps[1].count, rows = taps[0].count * height;
  int64_t run = taps[2].count * from;
  Tensor packed = at::empty({to, rows, run}, w.options().dtype(c10::CppTypeToScalarType<T>()));
  const float* weights = w.data_ptr<float>();
  T* target = packed.data_ptr<T>();
  at::parallel_for(0, rows * taps[2].count, 1, [&](int64_t start, int64_t end) {
    for (int64_t i = start; i < end; i++) {
      int64_t tap = i % taps[2].count, row = i / taps[2].count;
      int64_t z = taps[0].first + row / height * taps[0].step, y = taps[1].first + row % height * taps[1].step;
      int64_t x = taps[2].first + tap * taps[2].step;
      const float* in = weights + ((z * w.size(1) + y) * w.size(2) + x) * from * to;
      for (int64_t channel = 0; channel < to; channel += kWidth) {
        int64_t width = std::min(kWidth, to - channel);
        pack(in + channel, target + channel * rows * run + (row * run + tap * from) * width, width);
      }
    }
  });
  return packed;
}

// What a thread keeps from sum to sum.
template <typename T>
struct Session {};

// [32 channels, row of taps, input, 32]
inline Tensor packWeights(const Tensor& w, const TapRows& taps, float) {
  int64_t from = w.size(3), to = w.size(4);
  return packBlocks<float, kBlock>(w, taps, [&](const float* in, float* out, int64_t width) {
    for (int64_t c = 0; c < from; c++, in += to, out += width) std::copy(in, in + width, out);
  });
}

// The sums of `count` outputs and `width` channels, rows kBlock floats apart.
inline void sumTaps(const Grid<float>& grid, const float* x, int count, const float* packed, int64_t width,
                    Session<float>&, float* sums) {
  bool add = false;
  for (int64_t z = 0; z < grid.depth; z++)
    for (int64_t y = 0; y < grid.height; y++, packed += grid.run * width, add = true)
      multiply({x + z * grid.tapZ + y * grid.tapY, grid.from.x, 1, packed, width, sums, kBlock, grid.run, add}, count,
               width);
}

#if PATCHWISE_TILES

template <>
struct Session<BFloat16> {
  TileShapes shapes;
  Session() { settle(); }
};

// [16 channels, row of taps, pair of inputs, 16, 2]
inline Tensor packWeights(const Tensor& w, const TapRows& taps, BFloat16) {
  int64_t from = w.size(3), to = w.size(4);
  return packBlocks<BFloat16, 16>(w, taps, [&](const float* in, BFloat16* out, int64_t) {
    for (int64_t c = 0; c < from; c += 2, in += 2 * to, out += 32) *(Words*)out = pairsOf(load(in), load(in + to));
  });
}

// Pairs of inputs that one product adds up: as many as divide a run.
inline int pairsFor(int64_t run) {
  int64_t tiles = (run + 31) / 32;
  while (run % (2 * tiles)) tiles++;
  return (int)(run / tiles / 2);
}

template <int kLeft, int kRight>
void sumTiles(const Grid<BFloat16>& grid, const BFloat16* x, const BFloat16* right, int pairs, float* sums) {
  int64_t panel = 16 * grid.depth * grid.height * grid.run;
  // Cache lines of the next row of taps, of 32 outputs, to ask for with each product: waiting for them takes a third of
  // the time otherwise.
  int64_t lines = grid.from.x * 2 * pairs / grid.run;
  clearSums();
  for (int64_t z = 0; z < grid.depth; z++)
    for (int64_t y = 0; y < grid.height; y++) {
      const BFloat16 *left = x + z * grid.tapZ + y * grid.tapY, *second = left + 16 * grid.from.x;
      const BFloat16* next = y + 1 < grid.height ? left + grid.tapY : x + (z + 1) * grid.tapZ;
      for (int64_t k = 0; k < grid.run; k += 2 * pairs, right += 32 * pairs) {
        for (int64_t line = 0; line < lines; line++, next += 32) _mm_prefetch(next, _MM_HINT_T0);
        tileProduct<kLeft, kRight>({left + k, second + k, right, right + panel, 2 * grid.from.x});
      }
    }
  storeSums<kLeft, kRight>(sums, kBlock);
}

inline void sumTaps(const Grid<BFloat16>& grid, const BFloat16* x, int count, const BFloat16* packed, int64_t width,
                    Session<BFloat16>& session, float* sums) {
  int pairs = pairsFor(grid.run), first = std::min(count, 16);
  session.shapes.use(first, count - first, pairs);
  auto sum = PATCHWISE_BY_SIDES(count > 16 ? 2 : 1, width > 16 ? 2 : 1, sumTiles);
  sum(grid, x, packed, pairs, sums);
}

#endif

template <typename T>
void sumGrid(const Grid<T>& grid, const Tensor& packed, const float* bias) {
  int64_t out = packed.size(0), channelStep = packed.stride(0), planes = grid.n * grid.d;
  // Outputs of a plane in one line, over the ends of its rows, where that takes fewer tiles than row by row.
  int64_t pitch = grid.from.y / grid.from.x, line = (grid.h - 1) * pitch + grid.w, lines = 1;
  if ((line + 15) / 16 >= grid.h * ((grid.w + 15) / 16)) lines = grid.h, line = pitch = grid.w;
  int64_t parts = (line + kBlock - 1) / kBlock, blocks = lines * parts;
  at::parallel_for(0, (out + kBlock - 1) / kBlock * planes * blocks, 1, [&](int64_t start, int64_t end) {
    alignas(64) float sums[kBlock * kBlock];
    Session<T> session;
    for (int64_t i = start; i < end; i++) {
      int64_t channel = i / (planes * blocks) * kBlock, plane = i / blocks % planes, y0 = i % blocks / parts;
      int64_t n = plane / grid.d, z = plane % grid.d, x0 = i % parts * kBlock, width = std::min(kBlock, out - channel);
      int count = (int)std::min(kBlock, line - x0);
      const T* from = grid.x + n * grid.from.n + z * grid.from.z + y0 * grid.from.y + x0 * grid.from.x;
      sumTaps(grid, from, count, packed.data_ptr<T>() + channel * channelStep, width, session, sums);
      T* to = grid.y + n * grid.to.n + z * grid.to.z + channel;
      int64_t y = y0 + x0 / pitch, x = x0 % pitch;
      for (int row = 0; row < count; row++, x++) {
        if (x == pitch) x = 0, y++;
        if (x >= grid.w) continue;
        for (int64_t c = 0; c < width; c += kLanes) {
          Floats sum = load(sums + row * kBlock + c);
          store(to + y * grid.to.y + x * grid.to.x + c, bias ? sum + load(bias + channel + c) : sum);
        }
      }
    }
  });
}

} // namespace patchwise
