// The transforms of Winograd's F(2x2x2, 3x3x3), for `kLanes` channels at a time.
//
// A tile is 2x2x2 outputs, made of 4x4x4 inputs. Its 64 transformed values ("points") are computed in four layers along
// z, of 16 points each (numbered y * 4 + x), so that a layer's weights stay in a core's cache. A layer's points of some
// tiles are in a block [point][tile][channel] whose points are `Block::stride` floats apart.
#pragma once
#include <algorithm>
#include "processor/simd.h"

namespace patchwise {

constexpr int kLayers = 4, kPoints = 16, kCorners = 8;

// Tiles along a row of the volume that are computed together.
struct Segment {
  int64_t n, z, y, x; // of the first tile, in tiles
  int64_t count;
  int64_t at; // of the first tile in its block
};

// A volume [n, d, h, w, c] with `border` zeros around it.
template <typename T>
struct Field {
  const T* data;
  int64_t depth, height, width, channels, border;
  const T* zeros; // a row of them

  const T* row(int64_t n, int64_t z, int64_t y) const {
    z -= border, y -= border;
    if (z < 0 || y < 0 || z >= depth || y >= height) return zeros;
    return data + ((n * depth + z) * height + y) * width * channels;
  }
};

struct Block {
  float* data;
  int64_t channels;
  int64_t stride; // from point to point

  // An odd number of cache lines, so that a tile's points do not all fall into one set of the cache.
  static int64_t strideFor(int64_t tiles, int64_t channels) { return tiles * channels + kLanes; }
};

// Of four inputs: d0 - d2, d1 + d2, d2 - d1, d1 - d3.
PATCHWISE_INLINE void transformFour(Floats& a, Floats& b, Floats& c, Floats& d) {
  Floats first = a - c, second = b + c, third = c - b, fourth = b - d;
  a = first, b = second, c = third, d = fourth;
}

// `kLanes` channels from `channel` of a layer of a segment's inputs, as channels from `to` on of the block.
template <typename T>
inline void transformInputs(const Field<T>& field, const Segment& s, int layer, int64_t channel, int64_t to,
                            const Block& block) {
  // Along z as transformFour: the layer is one plane plus or minus another.
  constexpr int kFirst[kLayers] = {0, 1, 2, 1}, kSecond[kLayers] = {2, 2, 1, 3};
  const float sign = layer == 1 ? 1.f : -1.f;
  constexpr int kColumn = 4 * kLanes;
  alignas(64) float columns[4 * kColumn]; // of the current tile; neighbours share two
  const T *first[4], *second[4];
  for (int y = 0; y < 4; y++) {
    first[y] = field.row(s.n, 2 * s.z + kFirst[layer], 2 * s.y + y) + channel;
    second[y] = field.row(s.n, 2 * s.z + kSecond[layer], 2 * s.y + y) + channel;
  }
  auto transform = [&](int64_t voxel) {
    float* column = columns + voxel % 4 * kColumn;
    int64_t x = 2 * s.x - field.border + voxel;
    if (x < 0 || x >= field.width) return (void)std::fill(column, column + kColumn, 0.f);
    Floats v[4];
    for (int y = 0; y < 4; y++) v[y] = load(first[y] + x * field.channels) + sign * load(second[y] + x * field.channels);
    transformFour(v[0], v[1], v[2], v[3]);
    for (int y = 0; y < 4; y++) store(column + y * kLanes, v[y]);
  };
  transform(0);
  transform(1);
  for (int64_t tile = 0; tile < s.count; tile++) {
    transform(2 * tile + 2);
    transform(2 * tile + 3);
    const float *near = columns + 2 * tile % 4 * kColumn, *far = columns + (2 * tile + 2) % 4 * kColumn;
    float* out = block.data + (s.at + tile) * block.channels + to;
    for (int y = 0; y < 4; y++, near += kLanes, far += kLanes, out += 4 * block.stride) {
      Floats a = load(near), b = load(near + kColumn), c = load(far), d = load(far + kColumn);
      transformFour(a, b, c, d);
      store(out, a);
      store(out + block.stride, b);
      store(out + 2 * block.stride, c);
      store(out + 3 * block.stride, d);
    }
  }
}

// Adds what a layer's products give to `kLanes` channels of the outputs of `tiles` tiles, [tile][corner][channel].
// Along each axis, of four points: m0 + m1 + m2, m1 - m2 - m3.
inline void transformProducts(const Block& block, int layer, int64_t channel, int64_t tiles, float* outputs) {
  const float far = layer == 1 ? 1.f : -1.f; // sign at the corners at z = 1; layer 0 adds nothing to them
  for (int64_t tile = 0; tile < tiles; tile++) {
    const float* points = block.data + tile * block.channels + channel;
    Floats row[4][2];
    for (int y = 0; y < 4; y++, points += 4 * block.stride) {
      Floats m1 = load(points + block.stride), m2 = load(points + 2 * block.stride);
      row[y][0] = load(points) + m1 + m2;
      row[y][1] = m1 - m2 - load(points + 3 * block.stride);
    }
    float* out = outputs + tile * kCorners * block.channels + channel;
    for (int x = 0; x < 2; x++) {
      Floats sums[2] = {row[0][x] + row[1][x] + row[2][x], row[1][x] - row[2][x] - row[3][x]};
      for (int y = 0; y < 2; y++) {
        float *near = out + (y * 2 + x) * block.channels, *behind = near + 4 * block.channels;
        if (layer < 3) store(near, load(near) + sums[y]);
        if (layer > 0) store(behind, load(behind) + far * sums[y]);
      }
    }
  }
}

// Where a segment's outputs are. Tiles may reach over the end of an axis of odd length.
template <typename T>
struct Outputs {
  T* data;
  int64_t depth, height, width, channels;

  T* at(const Segment& s, int64_t tile, int corner) const {
    int64_t z = 2 * s.z + corner / 4, y = 2 * s.y + corner / 2 % 2, x = 2 * (s.x + tile) + corner % 2;
    if (z >= depth || y >= height || x >= width) return nullptr;
    return data + (((s.n * depth + z) * height + y) * width + x) * channels;
  }
};

// The transpose of transformProducts, for gradients of outputs: of two, g0, g0 + g1, g0 - g1, -g1.
template <typename T>
inline void transformGradients(const Outputs<const T>& outputs, const Segment& s, int layer, int64_t channel, int64_t to,
                               const Block& block) {
  for (int64_t tile = 0; tile < s.count; tile++) {
    auto gradient = [&](int corner) {
      const T* from = outputs.at(s, tile, corner);
      return from ? load(from + channel) : Floats{};
    };
    Floats plane[2][2];
    for (int corner = 0; corner < 4; corner++) {
      Floats near = layer < 3 ? gradient(corner) : Floats{}, behind = layer > 0 ? gradient(4 + corner) : Floats{};
      plane[corner / 2][corner % 2] = layer == 1 ? near + behind : near - behind;
    }
    float* points = block.data + (s.at + tile) * block.channels + to;
    for (int y = 0; y < 4; y++, points += 4 * block.stride) {
      Floats row[2];
      for (int x = 0; x < 2; x++) {
        Floats a = plane[0][x], b = plane[1][x];
        row[x] = y == 0 ? a : y == 1 ? a + b : y == 2 ? a - b : -b;
      }
      store(points, row[0]);
      store(points + block.stride, row[0] + row[1]);
      store(points + 2 * block.stride, row[0] - row[1]);
      store(points + 3 * block.stride, -row[1]);
    }
  }
}

} // namespace patchwise
