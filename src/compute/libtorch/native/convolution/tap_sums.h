// Sums over rows of taps at the points of a regular grid: in vectors, or by the matrix unit if the inputs are bfloat16
// or parts of floats.
#pragma once
#include "binding/table.h"
#include "processor/matrix_unit.h"
#include "processor/multiply.h"
#include "processor/tasks.h"
#include "processor/transpose.h"

namespace patchwise {

// The kernel's taps along an axis that are used, in their order.
struct TapRow {
  int64_t first, step, count;
};
using TapRows = std::array<TapRow, 3>;

// Elements from voxel to voxel along each axis.
struct Steps {
  int64_t n, z, y, x;
};

// The taps, of `taps` along an axis, that meet inputs and not the zeros around the volume: for output i those from
// first - step * i to end - step * i.
struct Edges {
  int64_t first, end, step, taps;
  int64_t from(int64_t output) const { return std::clamp<int64_t>(first - step * output, 0, taps); }
  int64_t to(int64_t output) const { return std::clamp<int64_t>(end - step * output, 0, taps); }
};

// Outputs on a regular grid. Each is a sum over rows of taps, and a row is `run` inputs in a sequence.
template <typename X, typename Y>
struct Grid {
  const X* x;
  int64_t part;       // elements from one part of the inputs to the next
  Steps from;         // inputs of one output to those of the next
  int64_t tapZ, tapY; // elements from one row of taps to the next
  int64_t depth, height, run;
  Y* y;
  Steps to;
  int64_t n, d, h, w; // outputs
  Edges edgesZ, edgesY;

  int64_t tapRow(int64_t row) const { return row / height * tapZ + row % height * tapY; }
};

// Those of some rows of taps that are inside the edges.
struct Rows {
  int64_t first, end;
  int64_t zFrom, zTo, yFrom, yTo;
  bool has(int64_t row, int64_t height) const {
    int64_t z = row / height, y = row % height;
    return z >= zFrom && z < zTo && y >= yFrom && y < yTo;
  }
  // The first of them behind `row`, or `end`.
  int64_t after(int64_t row, int64_t height) const {
    do row++;
    while (row < end && !has(row, height));
    return row;
  }
};

constexpr int64_t kBlock = 32;          // outputs, and channels of them, that are summed together
constexpr int64_t kWeights = 384 << 10; // bytes of weights that stay in the cache
constexpr int64_t kInputs = 2 << 20;    // bytes of inputs that stay in the cache
constexpr int64_t kGroup = 16;          // blocks for which some rows' weights are read, if not all rows' weights stay
constexpr int64_t kTask = 8;            // groups that a thread takes at a time
constexpr int64_t kSpan = 32;           // blocks for which a block of channels is summed, if not all inputs stay

// Calls each(tap's weights [from, to], row, tap of the row) for the taps that are used, in their order. The weights are
// [kd, kh, kw, from, to], or [..., to, from] transposed.
template <typename Each>
void eachTap(const Tensor& w, const TapRows& taps, Each each) {
  int64_t height = taps[1].count, rows = taps[0].count * height;
  const float* weights = w.data_ptr<float>();
  int64_t from = w.size(3), to = w.size(4);
  bool transposed = !w.is_contiguous();
  at::parallel_for(0, rows * taps[2].count, 1, [&](int64_t start, int64_t end) {
    std::vector<float> turned(transposed ? from * to : 0);
    for (int64_t i = start; i < end; i++) {
      int64_t tap = i % taps[2].count, row = i / taps[2].count;
      int64_t z = taps[0].first + row / height * taps[0].step, y = taps[1].first + row % height * taps[1].step;
      int64_t x = taps[2].first + tap * taps[2].step;
      const float* own = weights + ((z * w.size(1) + y) * w.size(2) + x) * from * to;
      if (transposed) transposeMatrix(own, to, from, turned.data());
      each(transposed ? turned.data() : own, row, tap);
    }
  });
}

// Sums inputs of X to outputs of Y; each thread has one.
template <typename X, typename Y>
struct TapSums {
  // Weights [kd, kh, kw, from, to] as [32 channels or the rest][row of taps, input of a run, 32].
  static Tensor pack(const Tensor& w, const TapRows& taps) {
    int64_t from = w.size(3), to = w.size(4), run = taps[2].count * from, rows = taps[0].count * taps[1].count;
    Tensor packed = at::empty({to, rows, run}, w.options());
    float* target = packed.data_ptr<float>();
    eachTap(w, taps, [&](const float* in, int64_t row, int64_t tap) {
      for (int64_t channel = 0; channel < to; channel += kBlock) {
        int64_t width = std::min(kBlock, to - channel);
        float* out = target + channel * rows * run + (row * run + tap * from) * width;
        for (int64_t c = 0; c < from; c++, out += width) std::copy_n(in + c * to + channel, width, out);
      }
    });
    return packed;
  }

  // Elements of an input's weights of one channel.
  static constexpr int64_t kElements = 1;

  // Adds some rows of taps to the sums of `count` outputs and `width` channels, rows kBlock floats apart; the first
  // rows begin the sums.
  void sum(const Grid<X, Y>& grid, const X* x, int count, const X* packed, int64_t width, Rows rows, float* sums, const X*) {
    if (rows.first == 0) std::fill_n(sums, kBlock * kBlock, 0.f);
    for (int64_t row = rows.first; row < rows.end; row++)
      if (rows.has(row, grid.height))
        multiply({x + grid.tapRow(row), grid.from.x, 1, packed + row * grid.run * width, width, sums, kBlock, grid.run, true},
                 count, width);
  }
};

#if PATCHWISE_TILES

template <typename Y>
class TapSums<BFloat16, Y> {
 public:
  // [32 channels or the rest][row of taps, product, part, 16 channels, pair of inputs, 16, 2], as they are read.
  static Tensor pack(const Tensor& w, const TapRows& taps) {
    int64_t from = w.size(3), to = w.size(4), run = taps[2].count * from, rows = taps[0].count * taps[1].count;
    int64_t pairs = pairsFor(run);
    Tensor packed = at::empty({to, rows, run * kParts<Y>}, w.options().dtype(at::kBFloat16));
    BFloat16* target = packed.data_ptr<BFloat16>();
    eachTap(w, taps, [&](const float* in, int64_t row, int64_t tap) {
      for (int64_t channel = 0; channel < to; channel += 16) {
        int64_t first = channel / kBlock * kBlock, width = std::min(kBlock, to - first), part = 2 * pairs * width;
        BFloat16* block = target + first * packed.stride(0) + row * run * kParts<Y> * width + (channel - first) * 2 * pairs;
        int64_t pair = tap * from / 2 % pairs;
        BFloat16* out = block + tap * from / 2 / pairs * kParts<Y> * part + pair * 32;
        const float* weights = in + channel;
        for (int64_t c = 0; c < from; c += 2, weights += 2 * to, out += 32) {
          partsOfPairs<kParts<Y>>(weights, weights + to, [&](int p, Words words) { *(Words*)(out + p * part) = words; });
          if (++pair == pairs) pair = 0, out += kParts<Y> * part - 32 * pairs;
        }
      }
    });
    return packed;
  }

  TapSums() { settle(); }

  static constexpr int64_t kElements = kParts<Y>;

  void sum(const Grid<BFloat16, Y>& grid, const BFloat16* x, int count, const BFloat16* packed, int64_t width, Rows rows,
           float* sums, const BFloat16* after) {
    int pairs = pairsFor(grid.run), first = std::min(count, 16);
    shapes_.use(first, count - first, pairs);
    bySides(count > 16, width > 16, [&](auto left, auto right) {
      sumTiles<decltype(left)::value, decltype(right)::value>(grid, x, packed, pairs, rows, sums, after);
    });
  }

 private:
  // Pairs of inputs that one product adds up: as many as divide a run.
  static int pairsFor(int64_t run) {
    int64_t tiles = (run + 31) / 32;
    while (run % (2 * tiles)) tiles++;
    return (int)(run / tiles / 2);
  }

  template <int kLeft, int kRight>
  static void sumTiles(const Grid<BFloat16, Y>& grid, const BFloat16* x, const BFloat16* packed, int pairs, Rows rows,
                       float* sums, const BFloat16* after) {
    // Cache lines of the next row of taps, of 32 outputs, to fetch with each product: otherwise waiting for them takes a
    // third of the time. Behind the last row comes the first row of the next outputs.
    int64_t lines = grid.from.x * 2 * pairs / grid.run, panel = 32 * pairs;
    if (rows.first == 0) clearSums();
    else loadSums<kLeft, kRight>(sums, kBlock);
    for (int64_t row = rows.first; row < rows.end; row++) {
      if (!rows.has(row, grid.height)) continue;
      const BFloat16* right = packed + row * grid.run * kParts<Y> * 16 * kRight;
      int64_t following = rows.after(row, grid.height);
      const BFloat16 *left = x + grid.tapRow(row), *second = left + 16 * grid.from.x;
      const BFloat16* next = following < rows.end ? x + grid.tapRow(following) : after;
      for (int64_t k = 0; k < grid.run; k += 2 * pairs, right += kParts<Y> * kRight * panel) {
        for (int64_t line = 0; line < lines; line++, next += 32)
          for (int p = 0; p < kParts<Y>; p++) _mm_prefetch(next + p * grid.part, _MM_HINT_T0);
        tileProduct<Y, kLeft, kRight>(
            {left + k, second + k, right, right + panel, 2 * grid.from.x, grid.part, kRight * panel});
      }
    }
    storeSums<kLeft, kRight>(sums, kBlock);
  }

  TileShapes shapes_;
};

#endif

template <typename X, typename Y>
void sumGrid(const Grid<X, Y>& grid, const Tensor& packed, const float* bias) {
  int64_t out = packed.size(0), channelStep = packed.stride(0), planes = grid.n * grid.d;
  if (planes == 0) return; // the last planes of outputs may lack a phase
  // Outputs of a plane in one line, over the ends of its rows, if that takes fewer tiles than row by row.
  int64_t pitch = grid.from.y / grid.from.x, line = (grid.h - 1) * pitch + grid.w, lines = 1;
  bool whole = grid.from.y % grid.from.x == 0 && pitch >= grid.w; // not where strides differ from axis to axis
  if (!whole || (line + 15) / 16 >= grid.h * ((grid.w + 15) / 16)) lines = grid.h, line = pitch = grid.w;
  int64_t parts = (line + kBlock - 1) / kBlock, blocks = lines * parts, rows = grid.depth * grid.height;
  int64_t rowBytes = std::min(kBlock, out) * grid.run * TapSums<X, Y>::kElements * sizeof(X);
  int64_t together = std::clamp<int64_t>(kWeights / rowBytes, 1, rows);
  int64_t group = together < rows ? kGroup : 1, groups = (planes * blocks + group - 1) / group;
  // Groups for which one block of channels is summed before the next: all, if the inputs stay in the cache or the
  // weights do not; else so few that their inputs stay in the cache for all channels.
  bool small = planes * grid.from.z * TapSums<X, Y>::kElements * (int64_t)sizeof(X) <= kInputs;
  int64_t span = small || together < rows ? groups : kSpan, channels = (out + kBlock - 1) / kBlock;
  int64_t spans = (groups + span - 1) / span;
  const X* allWeights = packed.data_ptr<X>();
  int64_t all = spans * channels * span;
  eachTask((all + kTask - 1) / kTask, [&](auto next) {
    alignas(64) float memory[kGroup * kBlock * kBlock];
    TapSums<X, Y> taps;
    auto inputsOf = [&](int64_t block) {
      int64_t plane = block / blocks, y0 = block % blocks / parts, x0 = block % parts * kBlock;
      return grid.x + plane / grid.d * grid.from.n + plane % grid.d * grid.from.z + y0 * grid.from.y + x0 * grid.from.x;
    };
    auto firstBlock = [&](int64_t i) { return (i / span / channels * span + i % span) * group; };
    auto sumGroup = [&](int64_t i) {
      int64_t channel = i / span % channels * kBlock, width = std::min(kBlock, out - channel);
      int64_t first = firstBlock(i), last = std::min(planes * blocks, first + group);
      auto each = [&](auto run) {
        for (int64_t block = first; block < last; block++) {
          int64_t plane = block / blocks, x0 = block % parts * kBlock;
          run(block, plane / grid.d, plane % grid.d, block % blocks / parts, x0, (int)std::min(kBlock, line - x0),
              memory + (block - first) * kBlock * kBlock);
        }
      };
      for (int64_t row = 0; row < rows; row += together)
        each([&](int64_t block, int64_t, int64_t z, int64_t y0, int64_t x0, int count, float* sums) {
          const X* from = inputsOf(block);
          const X* weights = allWeights + channel * channelStep;
          // A line has outputs of many rows.
          int64_t yFrom = lines > 1 ? grid.edgesY.from(y0) : 0, yTo = lines > 1 ? grid.edgesY.to(y0) : grid.height;
          Rows some{row, std::min(rows, row + together), grid.edgesZ.from(z), grid.edgesZ.to(z), yFrom, yTo};
          bool done = row + together >= rows;
          const X* after = inputsOf(block + 1 < last ? block + 1 : done ? firstBlock(i + 1) : first) +
                           grid.tapRow(block + 1 < last ? row : done ? 0 : row + together);
          taps.sum(grid, from, count, weights, width, some, sums, after);
        });
      each([&](int64_t, int64_t n, int64_t z, int64_t y0, int64_t x0, int count, const float* sums) {
        Y* to = grid.y + n * grid.to.n + z * grid.to.z + channel;
        int64_t y = y0 + x0 / pitch, x = x0 % pitch;
        for (int row = 0; row < count; row++, x++) {
          if (x == pitch) x = 0, y++;
          if (x >= grid.w) continue;
          for (int64_t c = 0; c < width; c += kLanes) {
            Floats sum = load(sums + row * kBlock + c);
            store(to + y * grid.to.y + x * grid.to.x + c, bias ? sum + load(bias + channel + c) : sum);
          }
        }
      });
    };
    for (int64_t task = next(); task >= 0; task = next())
      for (int64_t i = task * kTask; i < std::min(all, (task + 1) * kTask); i++) sumGroup(i);
  });
}

} // namespace patchwise
