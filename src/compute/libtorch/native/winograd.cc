#include "winograd.h"
#include <ATen/Parallel.h>
#include "multiply.h"
#include "winograd_tiles.h"

namespace patchwise {
namespace {

// Channels that are worked on together: the transformed weights of 64 x 64 fill half of a core's second-level cache.
constexpr int64_t kChunk = 64;

// How the tiles of outputs [n, depth, height, width] are cut into blocks, each of whole segments.
struct Tiling {
  int64_t n, depth, height, width; // in tiles
  int64_t length;                  // tiles of a segment
  int64_t segments;                // of a block
  int64_t perRow, total;           // segments

  Tiling(int64_t n, int64_t d, int64_t h, int64_t w, int64_t tiles)
      : n(n), depth((d + 1) / 2), height((h + 1) / 2), width((w + 1) / 2) {
    // Equal segments, so that blocks are about equal too.
    perRow = (width + 15) / 16;
    length = (width + perRow - 1) / perRow;
    perRow = (width + length - 1) / length;
    segments = std::max<int64_t>(1, tiles / length);
    total = n * depth * height * perRow;
  }
  int64_t blocks() const { return (total + segments - 1) / segments; }
  int64_t tiles() const { return segments * length; }

  // Calls each(segment) for those of a block; returns its tiles.
  template <typename Each>
  int64_t eachSegment(int64_t block, Each each) const {
    int64_t at = 0;
    for (int64_t i = block * segments; i < std::min(total, (block + 1) * segments); i++) {
      int64_t x = i % perRow * length, row = i / perRow;
      Segment s{row / height / depth, row / height % depth, row % height, x, std::min(length, width - x), at};
      each(s);
      at += s.count;
    }
    return at;
  }
};

// Tiles of a block: both of its sides and the weights share a core's second-level cache.
int64_t tilesFor(int64_t inputs, int64_t outputs) {
  int64_t perTile = kPoints * (std::min(inputs, kChunk) + std::min(outputs, kChunk));
  return std::clamp<int64_t>((768 << 10) / 4 / perTile / 8 * 8, 8, 48);
}

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

// Of three weights along an axis: g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2.
template <typename Value, typename Put>
void fourOfThree(Value g0, Value g1, Value g2, Put put) {
  put(0, g0), put(1, (g0 + g1 + g2) * 0.5f), put(2, (g0 - g1 + g2) * 0.5f), put(3, g2);
}

// Weights [3, 3, 3, in, out] as points [64, in, out].
Tensor transformWeights(const Tensor& weights) {
  Tensor w = weights.to(at::kFloat).contiguous();
  int64_t pairs = w.size(3) * w.size(4);
  Tensor points = at::empty({kPoints, w.size(3), w.size(4)}, w.options());
  const float* from = w.data_ptr<float>();
  float* to = points.data_ptr<float>();
  at::parallel_for(0, pairs / kLanes, 8, [&](int64_t start, int64_t end) {
    for (int64_t i = start * kLanes; i < end * kLanes; i += kLanes) {
      Floats x[3][3][4], y[3][4][4];
      for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
          const float* g = from + (a * 3 + b) * 3 * pairs + i;
          fourOfThree(load(g), load(g + pairs), load(g + 2 * pairs), [&](int k, Floats v) { x[a][b][k] = v; });
        }
      for (int a = 0; a < 3; a++)
        for (int c = 0; c < 4; c++)
          fourOfThree(x[a][0][c], x[a][1][c], x[a][2][c], [&](int k, Floats v) { y[a][k][c] = v; });
      for (int b = 0; b < 4; b++)
        for (int c = 0; c < 4; c++)
          fourOfThree(y[0][b][c], y[1][b][c], y[2][b][c],
                      [&](int k, Floats v) { store(to + ((k * 4 + b) * 4 + c) * pairs + i, v); });
    }
  });
  return points;
}

// y [n, d, h, w, out] from x with `border` zeros around it and points [64, in, out].
template <typename T>
void convolvePoints(const Tensor& x, int64_t border, const Tensor& points, const float* bias, Tensor& y) {
  int64_t in = points.size(1), out = points.size(2);
  Tiling tiling(y.size(0), y.size(1), y.size(2), y.size(3), tilesFor(in, out));
  std::vector<T> zeros(x.size(3) * in, T(0));
  Field<T> field{x.data_ptr<T>(), x.size(1), x.size(2), x.size(3), in, border, zeros.data()};
  Outputs<T> outputs{y.data_ptr<T>(), y.size(1), y.size(2), y.size(3), out};
  int64_t inputs = Block::strideFor(tiling.tiles(), kChunk) * kPoints;
  at::parallel_for(0, tiling.blocks(), 1, [&](int64_t start, int64_t end) {
    Scratch scratch(2 * inputs);
    float *left = scratch.take(inputs), *right = scratch.take(inputs);
    for (int64_t block = start; block < end; block++)
      for (int64_t o = 0; o < out; o += kChunk) {
        int64_t outs = std::min(kChunk, out - o), tiles = 0;
        Block sums{right, outs, Block::strideFor(tiling.tiles(), outs)};
        for (int64_t i = 0; i < in; i += kChunk) {
          int64_t ins = std::min(kChunk, in - i);
          Block values{left, ins, Block::strideFor(tiling.tiles(), ins)};
          // One chunk of inputs is transformed once for all chunks of outputs.
          tiles = tiling.eachSegment(block, [&](const Segment& s) {
            if (o == 0 || in > kChunk)
              for (int64_t c = 0; c < ins; c += kLanes) transformInputs(field, s, i + c, c, values);
          });
          for (int p = 0; p < kPoints; p++)
            multiply({values.data + p * values.stride, ins, 1, points.data_ptr<float>() + (p * in + i) * out + o, out,
                      sums.data + p * sums.stride, outs, ins, i > 0},
                     tiles, outs);
        }
        tiling.eachSegment(block, [&](const Segment& s) {
          for (int64_t c = 0; c < outs; c += kLanes) transformOutputs(sums, c, s, bias, o + c, outputs);
        });
      }
  });
}

void convolveAny(const Tensor& x, int64_t border, const Tensor& points, const float* bias, Tensor& y) {
  if (x.scalar_type() == at::kBFloat16) convolvePoints<BFloat16>(x, border, points, bias, y);
  else convolvePoints<float>(x, border, points, bias, y);
}

// Of four points along an axis: u0 + (u1 + u2) / 2, (u1 - u2) / 2, (u1 + u2) / 2 + u3.
template <typename Put>
void threeOfFour(Floats u0, Floats u1, Floats u2, Floats u3, Put put) {
  Floats half = (u1 + u2) * 0.5f;
  put(0, u0 + half), put(1, (u1 - u2) * 0.5f), put(2, half + u3);
}

// One chunk's sums [64, ins, outs] as weights' gradients.
void weightsOfPoints(const float* points, int64_t ins, int64_t outs, float* dw, int64_t in, int64_t out) {
  int64_t stride = ins * outs;
  for (int64_t i = 0; i < ins; i++)
    for (int64_t o = 0; o < outs; o += kLanes) {
      const float* u = points + i * outs + o;
      Floats x[4][4][3], y[4][3][3];
      for (int a = 0; a < 4; a++)
        for (int b = 0; b < 4; b++) {
          const float* four = u + (a * 4 + b) * 4 * stride;
          threeOfFour(load(four), load(four + stride), load(four + 2 * stride), load(four + 3 * stride),
                      [&](int k, Floats v) { x[a][b][k] = v; });
        }
      for (int a = 0; a < 4; a++)
        for (int c = 0; c < 3; c++)
          threeOfFour(x[a][0][c], x[a][1][c], x[a][2][c], x[a][3][c], [&](int k, Floats v) { y[a][k][c] = v; });
      for (int b = 0; b < 3; b++)
        for (int c = 0; c < 3; c++)
          threeOfFour(y[0][b][c], y[1][b][c], y[2][b][c], y[3][b][c],
                      [&](int k, Floats v) { store(dw + (((k * 3 + b) * 3 + c) * in + i) * out + o, v); });
    }
}

template <typename T>
void weightGradient(const Tensor& x, const Tensor& dy, Tensor& dw) {
  int64_t in = x.size(4), out = dy.size(4);
  Tiling tiling(dy.size(0), dy.size(1), dy.size(2), dy.size(3), tilesFor(in, out));
  std::vector<T> zeros(x.size(3) * in, T(0));
  Field<T> field{x.data_ptr<T>(), x.size(1), x.size(2), x.size(3), in, 0, zeros.data()};
  Outputs<const T> outputs{dy.data_ptr<T>(), dy.size(1), dy.size(2), dy.size(3), out};
  int64_t shares = std::min<int64_t>(at::get_num_threads(), tiling.blocks());
  for (int64_t i = 0; i < in; i += kChunk)
    for (int64_t o = 0; o < out; o += kChunk) {
      int64_t ins = std::min(kChunk, in - i), outs = std::min(kChunk, out - o), size = kPoints * ins * outs;
      Tensor sums = at::zeros({shares, size}, dw.options());
      at::parallel_for(0, shares, 1, [&](int64_t from, int64_t to) {
        int64_t lefts = Block::strideFor(tiling.tiles(), ins), rights = Block::strideFor(tiling.tiles(), outs);
        Scratch scratch((lefts + rights) * kPoints);
        Block values{scratch.take(lefts * kPoints), ins, lefts}, gradients{scratch.take(rights * kPoints), outs, rights};
        for (int64_t share = from; share < to; share++)
          for (int64_t block = tiling.blocks() * share / shares; block < tiling.blocks() * (share + 1) / shares; block++) {
            int64_t tiles = tiling.eachSegment(block, [&](const Segment& s) {
              for (int64_t c = 0; c < ins; c += kLanes) transformInputs(field, s, i + c, c, values);
              for (int64_t c = 0; c < outs; c += kLanes) transformGradients(outputs, s, o + c, c, gradients);
            });
            for (int p = 0; p < kPoints; p++)
              multiply({values.data + p * lefts, 1, ins, gradients.data + p * rights, outs,
                        sums.data_ptr<float>() + share * size + p * ins * outs, outs, tiles, true},
                       ins, outs);
          }
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
  convolveAny(x, 0, points, b.defined() ? b.data_ptr<float>() : nullptr, y);
  return y;
}

Tensor winogradInputGradient(const Tensor& dy, const Tensor& weights) {
  // Every voxel of x gathers from the outputs it went to: the same convolution backwards.
  Tensor points = transformWeights(weights.flip({0, 1, 2}).transpose(3, 4));
  Tensor dx = at::empty({dy.size(0), dy.size(1) + 2, dy.size(2) + 2, dy.size(3) + 2, weights.size(3)}, dy.options());
  convolveAny(dy, 2, points, nullptr, dx);
  return dx;
}

Tensor winogradWeightGradient(const Tensor& x, const Tensor& dy, at::IntArrayRef weights) {
  Tensor dw = at::empty(weights, dy.options().dtype(at::kFloat));
  if (x.scalar_type() == at::kBFloat16 && dy.scalar_type() == at::kBFloat16) weightGradient<BFloat16>(x, dy, dw);
  else weightGradient<float>(x.to(at::kFloat), dy.to(at::kFloat), dw);
  return dw;
}

} // namespace patchwise
