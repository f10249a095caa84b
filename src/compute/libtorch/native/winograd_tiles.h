// The transforms of Winograd's F(2x2x2, 3x3x3), for `kLanes` channels at a time.
//
// A tile is 2x2x2 outputs, made of 4x4x4 inputs. Its 64 transformed values ("points", numbered (z * 4 + y) * 4 + x) lie
// in a block [point][tile][channel] whose rows of points are `Block::stride` floats apart.
#pragma once
#include <algorithm>
#include <vector>
#include "simd.h"
#include "table.h"

namespace patchwise {

constexpr int kPoints = 64;

// Tiles along a row of the volume that are worked on together, and rows of tiles.
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

// The first two transforms of one column of 4x4 inputs, of which `at(z, y)` gives the first channel.
template <typename At>
PATCHWISE_INLINE void transformColumn(float* column, At at) {
  Floats v[4][4];
#pragma GCC unroll 4
  for (int z = 0; z < 4; z++)
#pragma GCC unroll 4
    for (int y = 0; y < 4; y++) v[z][y] = load(at(z, y));
  for (int z = 0; z < 4; z++) transformFour(v[z][0], v[z][1], v[z][2], v[z][3]);
  for (int y = 0; y < 4; y++) transformFour(v[0][y], v[1][y], v[2][y], v[3][y]);
  for (int z = 0; z < 4; z++)
    for (int y = 0; y < 4; y++) store(column + (z * 4 + y) * kLanes, v[z][y]);
}

// `kLanes` channels from `channel` of a segment's inputs, as channels from `to` on of the block.
template <typename T>
inline void transformInputs(const Field<T>& field, const Segment& s, int64_t channel, int64_t to, const Block& block) {
  constexpr int kColumn = 16 * kLanes;
  alignas(64) float columns[4 * kColumn]; // of the current tile; neighbours share two
  int64_t z = 2 * s.z - field.border, y = 2 * s.y - field.border, step = field.channels;
  int64_t row = field.width * step, plane = field.height * row;
  bool inside = z >= 0 && y >= 0 && z + 4 <= field.depth && y + 4 <= field.height;
  const T* corner = field.data + ((s.n * field.depth + z) * field.height + y) * row + channel;
  const T* rows[16];
  for (int i = 0; i < 16; i++) rows[i] = field.row(s.n, 2 * s.z + i / 4, 2 * s.y + i % 4) + channel;
  auto transform = [&](int64_t voxel) {
    float* column = columns + voxel % 4 * kColumn;
    int64_t x = 2 * s.x - field.border + voxel;
    if (x < 0 || x >= field.width) {
      std::fill(column, column + kColumn, 0.f);
    } else if (inside) {
      // Strides in place of sixteen pointers, which would not fit the registers.
      const T* from = corner + x * step;
      transformColumn(column, [&](int i, int j) { return from + i * plane + j * row; });
    } else {
      transformColumn(column, [&](int i, int j) { return rows[i * 4 + j] + x * step; });
    }
  };
  transform(0);
  transform(1);
  for (int64_t tile = 0; tile < s.count; tile++) {
    transform(2 * tile + 2);
    transform(2 * tile + 3);
    const float *near = columns + 2 * tile % 4 * kColumn, *far = columns + (2 * tile + 2) % 4 * kColumn;
    float* out = block.data + (s.at + tile) * block.channels + to;
    for (int i = 0; i < 16; i++, near += kLanes, far += kLanes, out += 4 * block.stride) {
      Floats a = load(near), b = load(near + kColumn), c = load(far), d = load(far + kColumn);
      transformFour(a, b, c, d);
      store(out, a);
      store(out + block.stride, b);
      store(out + 2 * block.stride, c);
      store(out + 3 * block.stride, d);
    }
  }
}

// Where a segment's outputs are; tiles may reach over the end of an axis of odd length.
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

// Of four points: m0 + m1 + m2, m1 - m2 - m3.
template <typename T>
inline void transformOutputs(const Block& block, int64_t from, const Segment& s, const float* bias, int64_t channel,
                             const Outputs<T>& outputs) {
  Floats start = bias ? load(bias + channel) : Floats{};
  for (int64_t tile = 0; tile < s.count; tile++) {
    const float* points = block.data + (s.at + tile) * block.channels + from;
    Floats plane[4][2][2]; // [z point][y][x]
    for (int z = 0; z < 4; z++) {
      Floats row[4][2];
      for (int y = 0; y < 4; y++) {
        const float* four = points + (z * 4 + y) * 4 * block.stride;
        Floats m1 = load(four + block.stride), m2 = load(four + 2 * block.stride);
        row[y][0] = load(four) + m1 + m2;
        row[y][1] = m1 - m2 - load(four + 3 * block.stride);
      }
      for (int x = 0; x < 2; x++) {
        plane[z][0][x] = row[0][x] + row[1][x] + row[2][x];
        plane[z][1][x] = row[1][x] - row[2][x] - row[3][x];
      }
    }
    for (int corner = 0; corner < 8; corner++) {
      T* to = outputs.at(s, tile, corner);
      if (!to) continue;
      int y = corner / 2 % 2, x = corner % 2;
      Floats sum = corner < 4 ? plane[0][y][x] + plane[1][y][x] + plane[2][y][x]
                              : plane[1][y][x] - plane[2][y][x] - plane[3][y][x];
      store(to + channel, sum + start);
    }
  }
}

// The transpose of transformOutputs, for gradients of outputs: of two, g0, g0 + g1, g0 - g1, -g1.
template <typename T>
inline void transformGradients(const Outputs<const T>& outputs, const Segment& s, int64_t channel, int64_t to,
                               const Block& block) {
  for (int64_t tile = 0; tile < s.count; tile++) {
    Floats g[2][2][2];
    for (int corner = 0; corner < 8; corner++) {
      const T* from = outputs.at(s, tile, corner);
      g[corner / 4][corner / 2 % 2][corner % 2] = from ? load(from + channel) : Floats{};
    }
    float* points = block.data + (s.at + tile) * block.channels + to;
    for (int z = 0; z < 4; z++) {
      Floats plane[2][2];
      for (int y = 0; y < 2; y++)
        for (int x = 0; x < 2; x++) {
          Floats a = g[0][y][x], b = g[1][y][x];
          plane[y][x] = z == 0 ? a : z == 1 ? a + b : z == 2 ? a - b : -b;
        }
      for (int y = 0; y < 4; y++) {
        Floats row[2];
        for (int x = 0; x < 2; x++) {
          Floats a = plane[0][x], b = plane[1][x];
          row[x] = y == 0 ? a : y == 1 ? a + b : y == 2 ? a - b : -b;
        }
        float* four = points + (z * 4 + y) * 4 * block.stride;
        store(four, row[0]);
        store(four + block.stride, row[0] + row[1]);
        store(four + 2 * block.stride, row[0] - row[1]);
        store(four + 3 * block.stride, -row[1]);
      }
    }
  }
}

} // namespace patchwise
