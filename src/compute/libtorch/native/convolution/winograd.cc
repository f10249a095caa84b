#include <unistd.h>
#include "convolution/methods.h"
#include "convolution/winograd_tiles.h"
#include "processor/multiply.h"
#include "processor/tasks.h"

namespace patchwise {
namespace {

constexpr int64_t kPanel = 32;        // channels of outputs that are multiplied together
constexpr int64_t kTiles = 16;        // tiles at a time: points and products of 128 channels fit a core's cache
constexpr int64_t kGradientTiles = 32; // more for gradients, because their sums are read and written again
constexpr int64_t kStretch = 128;     // tiles for which a layer's weights are read at a time

// Channels of each side at a time: the transformed weights of a layer then fill half of a core's second-level cache.
int64_t chunkOf() {
  static const int64_t chunk = sysconf(_SC_LEVEL2_CACHE_SIZE) >= 2 << 20 ? 128 : 64;
  return chunk;
}

// The tiles of outputs [n, depth, height, width], in one line, cut into stretches.
struct Tiling {
  int64_t depth, height, width, total; // in tiles
  int64_t stretch;                     // tiles of one

  Tiling(const Tensor& y, int64_t most)
      : depth((y.size(1) + 1) / 2), height((y.size(2) + 1) / 2), width((y.size(3) + 1) / 2),
        total(y.size(0) * depth * height * width) {
    stretch = std::clamp(upTo(total / (4 * at::get_num_threads()), kTiles), kTiles, most);
  }
  int64_t stretches() const { return (total + stretch - 1) / stretch; }

  // Calls each(first, count) for blocks of at most `size` tiles of a stretch.
  template <typename Each>
  void eachBlock(int64_t index, int64_t size, Each each) const {
    int64_t end = std::min(total, (index + 1) * stretch);
    for (int64_t first = index * stretch; first < end; first += size) each(first, std::min(size, end - first));
  }

  // Calls each(segment) for the rows' shares of tiles.
  template <typename Each>
  void eachSegment(int64_t first, int64_t count, Each each) const {
    for (int64_t at = 0; at < count;) {
      int64_t tile = first + at, x = tile % width, row = tile / width, length = std::min(count - at, width - x);
      each(Segment{row / height / depth, row / height % depth, row % height, x, length, at});
      at += length;
    }
  }
};

// Scratch memory of one thread, on a cache line.
struct Scratch {
  std::vector<float> memory;
  float* next = nullptr;
  explicit Scratch(int64_t floats) : memory(floats + 64) {
    next = memory.data() + (64 - (uintptr_t)memory.data() / 4 % 16) % 16;
  }
  float* take(int64_t floats) {
    float* taken = next;
    next += (floats + 15) / 16 * 16;
    return taken;
  }
};

// Transforms a cube of kFrom^3 vectors, `step` floats apart, along x, y and z to one of kTo^3, `toStep` floats apart.
template <int kFrom, int kTo, typename Transform>
void transformCube(const float* from, int64_t step, float* to, int64_t toStep, Transform transform) {
  Floats x[kTo][kFrom][kFrom], y[kTo][kTo][kFrom], v[kFrom], w[kTo];
  for (int a = 0; a < kFrom; a++)
    for (int b = 0; b < kFrom; b++) {
      for (int c = 0; c < kFrom; c++) v[c] = load(from + ((a * kFrom + b) * kFrom + c) * step);
      transform(v, w);
      for (int c = 0; c < kTo; c++) x[c][a][b] = w[c];
    }
  for (int c = 0; c < kTo; c++)
    for (int a = 0; a < kFrom; a++) {
      transform(x[c][a], w);
      for (int b = 0; b < kTo; b++) y[b][c][a] = w[b];
    }
  for (int b = 0; b < kTo; b++)
    for (int c = 0; c < kTo; c++) {
      transform(y[b][c], w);
      for (int a = 0; a < kTo; a++) store(to + ((a * kTo + b) * kTo + c) * toStep, w[a]);
    }
}

// Of three weights along an axis.
const auto fourOfThree = [](const Floats* g, Floats* to) {
  to[0] = g[0], to[1] = (g[0] + g[1] + g[2]) * 0.5f, to[2] = (g[0] - g[1] + g[2]) * 0.5f, to[3] = g[2];
};

// Weights [3, 3, 3, in, out] as points [layer and point, panel of out, in, 32 or the rest].
Tensor transformWeights(const Tensor& weights) {
  Tensor w = weights.to(at::kFloat).contiguous();
  int64_t in = w.size(3), out = w.size(4), pairs = in * out;
  Tensor points = at::empty({kLayers * kPoints, in, out}, w.options());
  const float* from = w.data_ptr<float>();
  eachIndex(pairs / kLanes, 8, [&](int64_t vector) {
    int64_t i = vector * kLanes;
    int64_t channel = i % out, panel = channel / kPanel * kPanel, width = std::min(kPanel, out - panel);
    float* to = points.data_ptr<float>() + panel * in + i / out * width + channel % kPanel;
    transformCube<3, 4>(from + i, pairs, to, pairs, fourOfThree);
  });
  return points;
}

// The products of a layer's points of some tiles and its weights, [point, panel, in, 32], of which `ins` from `i` on.
void multiplyLayer(const Block& values, int64_t tiles, const float* weights, int64_t in, int64_t out, int64_t i,
                   int64_t o, const Block& products) {
  int64_t ins = values.channels, outs = products.channels;
  for (int p = 0; p < kPoints; p++, weights += in * out)
    for (int64_t panel = o; panel < o + outs; panel += kPanel) {
      int64_t width = std::min(kPanel, out - panel);
      // Multiplies rows that are left over from the block before too, because whole groups of rows are faster.
      multiply({values.data + p * values.stride, ins, 1, weights + panel * in + i * width, width,
                products.data + p * products.stride + panel - o, outs, ins, false},
               upTo(tiles, kRows), width);
    }
}

// y [n, d, h, w, out] from x with `border` zeros around it and the transformed weights.
template <typename T>
void convolvePoints(const Tensor& x, int64_t border, const Tensor& points, const float* bias, Tensor& y) {
  int64_t in = points.size(1), out = points.size(2), chunk = chunkOf();
  Tiling tiling(y, kStretch);
  std::vector<T> zeros(x.size(3) * in, T(0));
  Field<T> field{x.data_ptr<T>(), x.size(1), x.size(2), x.size(3), in, border, zeros.data()};
  Outputs<T> outputs{y.data_ptr<T>(), y.size(1), y.size(2), y.size(3), out};
  int64_t most = Block::strideFor(kTiles, std::min(chunk, std::max(in, out))) * kPoints;
  at::parallel_for(0, tiling.stretches(), 1, [&](int64_t start, int64_t end) {
    Scratch scratch(2 * most + tiling.stretch * kCorners * std::min(chunk, out));
    float *left = scratch.take(most), *right = scratch.take(most);
    float* sums = scratch.take(tiling.stretch * kCorners * std::min(chunk, out));
    for (int64_t stretch = start; stretch < end; stretch++)
      for (int64_t o = 0; o < out; o += chunk) {
        int64_t outs = std::min(chunk, out - o), base = stretch * tiling.stretch;
        Block products{right, outs, Block::strideFor(kTiles, outs)};
        std::fill_n(sums, tiling.stretch * kCorners * outs, 0.f);
        for (int64_t i = 0; i < in; i += chunk) {
          int64_t ins = std::min(chunk, in - i);
          Block values{left, ins, Block::strideFor(kTiles, ins)};
          for (int layer = 0; layer < kLayers; layer++)
            tiling.eachBlock(stretch, kTiles, [&](int64_t first, int64_t tiles) {
              tiling.eachSegment(first, tiles, [&](const Segment& s) {
                for (int64_t c = 0; c < ins; c += kLanes) transformInputs(field, s, layer, i + c, c, values);
              });
              const float* weights = points.data_ptr<float>() + layer * kPoints * in * out;
              multiplyLayer(values, tiles, weights, in, out, i, o, products);
              for (int64_t c = 0; c < outs; c += kLanes)
                transformProducts(products, layer, c, tiles, sums + (first - base) * kCorners * outs);
            });
        }
        tiling.eachBlock(stretch, tiling.stretch, [&](int64_t first, int64_t tiles) {
          tiling.eachSegment(first, tiles, [&](const Segment& s) {
            const float* sum = sums + s.at * kCorners * outs;
            for (int64_t tile = 0; tile < s.count; tile++)
              for (int corner = 0; corner < kCorners; corner++, sum += outs)
                if (T* to = outputs.at(s, tile, corner))
                  for (int64_t c = 0; c < outs; c += kLanes)
                    store(to + o + c, bias ? load(sum + c) + load(bias + o + c) : load(sum + c));
          });
        });
      }
  });
}

// Of four points along an axis.
const auto threeOfFour = [](const Floats* u, Floats* to) {
  Floats half = (u[1] + u[2]) * 0.5f;
  to[0] = u[0] + half, to[1] = (u[1] - u[2]) * 0.5f, to[2] = half + u[3];
};

// One chunk's sums [64, ins, outs] as weights' gradients.
void weightsOfPoints(const float* points, int64_t ins, int64_t outs, float* dw, int64_t in, int64_t out) {
  for (int64_t i = 0; i < ins; i++)
    for (int64_t o = 0; o < outs; o += kLanes)
      transformCube<4, 3>(points + i * outs + o, ins * outs, dw + i * out + o, in * out, threeOfFour);
}

template <typename T>
void weightGradient(const Tensor& x, const Tensor& dy, Tensor& dw) {
  int64_t in = x.size(4), out = dy.size(4), chunk = chunkOf();
  Tiling tiling(dy, 2 * kStretch);
  std::vector<T> zeros(x.size(3) * in, T(0));
  Field<T> field{x.data_ptr<T>(), x.size(1), x.size(2), x.size(3), in, 0, zeros.data()};
  Outputs<const T> outputs{dy.data_ptr<T>(), dy.size(1), dy.size(2), dy.size(3), out};
  int64_t shares = std::min<int64_t>(at::get_num_threads(), tiling.stretches());
  for (int64_t i = 0; i < in; i += chunk)
    for (int64_t o = 0; o < out; o += chunk) {
      int64_t ins = std::min(chunk, in - i), outs = std::min(chunk, out - o), size = ins * outs;
      Tensor sums = at::zeros({shares, kLayers * kPoints, size}, dw.options());
      at::parallel_for(0, shares, 1, [&](int64_t from, int64_t to) {
        int64_t lefts = Block::strideFor(kGradientTiles, ins), rights = Block::strideFor(kGradientTiles, outs);
        Scratch scratch((lefts + rights) * kPoints);
        Block values{scratch.take(lefts * kPoints), ins, lefts}, gradients{scratch.take(rights * kPoints), outs, rights};
        for (int64_t share = from; share < to; share++)
          for (int64_t s = tiling.stretches() * share / shares; s < tiling.stretches() * (share + 1) / shares; s++)
            for (int layer = 0; layer < kLayers; layer++)
              tiling.eachBlock(s, kGradientTiles, [&](int64_t first, int64_t tiles) {
                tiling.eachSegment(first, tiles, [&](const Segment& segment) {
                  for (int64_t c = 0; c < ins; c += kLanes) transformInputs(field, segment, layer, i + c, c, values);
                  for (int64_t c = 0; c < outs; c += kLanes)
                    transformGradients(outputs, segment, layer, o + c, c, gradients);
                });
                float* sum = sums.data_ptr<float>() + (share * kLayers + layer) * kPoints * size;
                for (int p = 0; p < kPoints; p++)
                  multiply({values.data + p * lefts, 1, ins, gradients.data + p * rights, outs, sum + p * size, outs,
                            tiles, true},
                           ins, outs);
              });
      });
      Tensor sum = shares > 1 ? sums.sum(0) : sums[0];
      weightsOfPoints(sum.data_ptr<float>(), ins, outs, dw.data_ptr<float>() + i * out + o, in, out);
    }
}

} // namespace

bool winogradFits(at::IntArrayRef weights, const Size3& stride) {
  for (int axis = 0; axis < 3; axis++)
    if (weights[axis] != 3 || stride[axis] != 1) return false;
  return weights[3] % kLanes == 0 && weights[4] % kLanes == 0;
}

Tensor winogradConvolve(const Tensor& x, const Tensor& weights, const Tensor& bias) {
  Tensor points = transformWeights(weights), b = bias.defined() ? bias.contiguous() : bias;
  Tensor y = at::empty({x.size(0), x.size(1) - 2, x.size(2) - 2, x.size(3) - 2, weights.size(4)}, x.options());
  const float* start = b.defined() ? b.data_ptr<float>() : nullptr;
  withType(x, [&](auto stored) { convolvePoints<decltype(stored)>(x, 0, points, start, y); });
  return y;
}

Tensor winogradInputGradient(const Tensor& dy, const Tensor& weights) {
  // Every voxel of x gathers from the outputs it went to: the same convolution backwards.
  Tensor points = transformWeights(weights.flip({0, 1, 2}).transpose(3, 4));
  Tensor dx = at::empty({dy.size(0), dy.size(1) + 2, dy.size(2) + 2, dy.size(3) + 2, weights.size(3)}, dy.options());
  withType(dy, [&](auto stored) { convolvePoints<decltype(stored)>(dy, 2, points, nullptr, dx); });
  return dx;
}

Tensor winogradWeightGradient(const Tensor& x, const Tensor& dy, at::IntArrayRef weights) {
  Tensor dw = at::empty(weights, dy.options().dtype(at::kFloat));
  if (x.scalar_type() == at::kBFloat16 && dy.scalar_type() == at::kBFloat16) weightGradient<BFloat16>(x, dy, dw);
  else weightGradient<float>(x.to(at::kFloat), dy.to(at::kFloat), dw);
  return dw;
}

} // namespace patchwise
