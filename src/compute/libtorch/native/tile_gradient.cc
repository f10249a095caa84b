// Gradients of weights by the matrix unit: for each tap, the product of shifted inputs, channels by voxels, and gradients
// of outputs, voxels by channels. Both lie on one flat grid of voxels, with zeros among the gradients where the grid is
// wider than the outputs, so that a tap is an offset.
#include <ATen/Parallel.h>
#include "matrix_unit.h"
#include "taps.h"
#include "tile_gradient.h"

namespace patchwise {

#if !PATCHWISE_TILES

Tensor tileGradient(const Tensor&, const Tensor&, const Size3&, const Size3&) {
  TORCH_CHECK(false, "no matrix unit here");
}

#else

namespace {

constexpr int64_t kPositions = 256;   // of the grid that are worked on together: 32 channels of both fit the nearest cache

// The grid of a plane: every stride-th voxel of the inputs, so that there are stride x stride planes ("phases") of each.
struct Plane {
  Size3 kernel, stride;
  int64_t pitch, positions; // voxels of a row; voxels that gradients lie on, whole tiles
  int64_t length;           // voxels of a channel's row: all that taps reach, an odd number of cache lines

  Plane(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride) : kernel(kernel), stride(stride) {
    pitch = (x.size(3) + stride[2] - 1) / stride[2];
    positions = upTo((dy.size(2) - 1) * pitch + dy.size(3), 32);
    int64_t rows = (x.size(2) + stride[1] - 1) / stride[1];
    length = upTo(std::max(positions + offset(kernel[1] - 1, kernel[2] - 1), rows * pitch), 32);
    length += length / 32 % 2 ? 0 : 32;
  }
  int64_t phases() const { return stride[1] * stride[2]; }
  int64_t phase(int64_t y, int64_t x) const { return y % stride[1] * stride[2] + x % stride[2]; }
  int64_t offset(int64_t y, int64_t x) const { return y / stride[1] * pitch + x / stride[2]; }
};

// The voxels of a plane [h, w, c] that lie on the grid's positions from `at` on; `zeros` outside.
template <typename T>
void voxelsAt(const T* plane, int64_t height, int64_t width, int64_t channels, const Plane& grid, int64_t phase,
              int64_t at, const T* zeros, const T* (&voxels)[32]) {
  int64_t row = at / grid.pitch, column = at % grid.pitch;
  for (int i = 0; i < 32; i++, column++) {
    if (column == grid.pitch) column = 0, row++;
    int64_t y = row * grid.stride[1] + phase / grid.stride[2], x = column * grid.stride[2] + phase % grid.stride[2];
    voxels[i] = y < height && x < width ? plane + (y * width + x) * channels : zeros;
  }
}

// One plane [h, w, c] of inputs, of each phase, as [part, phase, c, length].
template <typename T>
void packInputs(const T* x, int64_t height, int64_t width, int64_t channels, const Plane& plane, const T* zeros,
                BFloat16* out) {
  const T* voxels[32];
  int64_t size = channels * plane.length, part = plane.phases() * size;
  for (int64_t phase = 0; phase < plane.phases(); phase++, out += size)
    for (int64_t at = 0; at < plane.length; at += 32) {
      voxelsAt(x, height, width, channels, plane, phase, at, zeros, voxels);
      for (int64_t c = 0; c < channels; c += 16) {
        Words blocks[kParts<T>][16];
        for (int i = 0; i < 16; i++)
          partsOfPairs<kParts<T>>(voxels[2 * i] + c, voxels[2 * i + 1] + c, [&](int p, Words pairs) { blocks[p][i] = pairs; });
        for (int p = 0; p < kParts<T>; p++) {
          transposeWords(blocks[p]);
          for (int i = 0; i < 16; i++) *(Words*)(out + p * part + (c + i) * plane.length + at) = blocks[p][i];
        }
      }
    }
}

// One plane [h, w, c] of gradients as [part, c / 16, positions / 2, 16, 2].
template <typename T>
void packGradients(const T* dy, int64_t height, int64_t width, int64_t channels, const Plane& plane, const T* zeros,
                   BFloat16* out) {
  Plane grid = plane;
  grid.stride = {1, 1, 1};
  const T* voxels[32];
  int64_t part = channels * plane.positions;
  for (int64_t at = 0; at < plane.positions; at += 32) {
    voxelsAt(dy, height, width, channels, grid, 0, at, zeros, voxels);
    for (int64_t c = 0; c < channels; c += 16)
      for (int i = 0; i < 16; i++) {
        BFloat16* to = out + c * plane.positions + at * 16 + i * 32;
        partsOfPairs<kParts<T>>(voxels[2 * i] + c, voxels[2 * i + 1] + c,
                     [&](int p, Words pairs) { *(Words*)(to + p * part) = pairs; });
      }
  }
}

// A tap's share of the sums of up to 32 x 32 channels, over planes that lie a step apart.
struct Share {
  const BFloat16 *left, *right;
  int64_t length, leftStep, rightStep; // of a channel's row; from plane to plane
  int64_t leftPart, rightPart;
  int64_t panel; // from 16 channels of gradients to the next
  int64_t planes, positions;
  float* sums;
  int64_t out;
};

template <typename T, int kLeft, int kRight>
void addShare(const Share& s) {
  loadSums<kLeft, kRight>(s.sums, s.out);
  for (int64_t plane = 0; plane < s.planes; plane++) {
    const BFloat16 *left = s.left + plane * s.leftStep, *right = s.right + plane * s.rightStep;
    for (int64_t i = 0; i < s.positions; i += 32, left += 32, right += 512)
      tileProduct<T, kLeft, kRight>(
          {left, left + 16 * s.length, right, right + s.panel, 2 * s.length, s.leftPart, s.rightPart});
  }
  storeSums<kLeft, kRight>(s.sums, s.out);
}

template <typename T>
Tensor gradientAs(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride) {
  int64_t in = x.size(4), out = dy.size(4), depth = dy.size(1);
  at::TensorOptions packed = x.options().dtype(at::kBFloat16);
  Tensor dw = at::zeros({kernel[0], kernel[1], kernel[2], in, out}, x.options().dtype(at::kFloat));
  Plane plane(x, dy, kernel, stride);
  // Elements of a part of a plane, and of all its parts.
  int64_t leftPart = plane.phases() * in * plane.length, rightPart = out * plane.positions;
  int64_t inputs = kParts<T> * leftPart, gradients = kParts<T> * rightPart;
  int64_t most = std::clamp<int64_t>(copiedAtATime(x) / 2 / (inputs * stride[0] + gradients), 1, depth);
  auto inputPlanes = [&](int64_t planes) { return (planes - 1) * stride[0] + kernel[0]; };
  Tensor left = at::empty({inputPlanes(most), inputs}, packed), right = at::empty({most, gradients}, packed);
  BFloat16 *lefts = left.data_ptr<BFloat16>(), *rights = right.data_ptr<BFloat16>();
  std::vector<T> zeros(std::max(in, out), T(0.f));
  int64_t pairs = ((in + 31) / 32) * ((out + 31) / 32), rows = kernel[0] * kernel[1];
  // Planes, or positions of one, that stay in the cache while all taps of a task read them.
  int64_t together = std::max<int64_t>(1, kPositions / plane.positions);
  for (int64_t n = 0; n < x.size(0); n++)
    for (int64_t z0 = 0; z0 < depth; z0 += most) {
      int64_t planes = std::min(most, depth - z0);
      at::parallel_for(0, inputPlanes(planes) + planes, 1, [&](int64_t start, int64_t end) {
        for (int64_t i = start; i < end; i++) {
          int64_t z = i - inputPlanes(planes);
          if (z < 0) packInputs(x.data_ptr<T>() + n * x.stride(0) + (z0 * stride[0] + i) * x.stride(1), x.size(2),
                                x.size(3), in, plane, zeros.data(), lefts + i * inputs);
          else packGradients(dy.data_ptr<T>() + n * dy.stride(0) + (z0 + z) * dy.stride(1), dy.size(2), dy.size(3), out,
                             plane, zeros.data(), rights + z * gradients);
        }
      });
      // A task is a plane of taps of 32 x 32 channels, or a row of taps where there are few channels.
      int64_t split = pairs >= 2 * at::get_num_threads() ? kernel[0] : rows;
      at::parallel_for(0, pairs * split, 1, [&](int64_t start, int64_t end) {
        TileShapes shapes;
        shapes.use(16, 16, 16);
        settle();
        for (int64_t task = start; task < end; task++) {
          int64_t i = task / split / ((out + 31) / 32) * 32, o = task / split % ((out + 31) / 32) * 32;
          auto add = [&](const Share& share) {
            bySides(i + 16 < in, o + 16 < out, [&](auto left, auto right) {
              addShare<T, decltype(left)::value, decltype(right)::value>(share);
            });
          };
          for (int64_t z = 0; z < planes; z += together)
            for (int64_t at = 0; at < plane.positions; at += kPositions)
              for (int64_t row = task % split * rows / split; row < (task % split + 1) * rows / split; row++)
                for (int64_t tx = 0; tx < kernel[2]; tx++) {
                  int64_t tz = row / kernel[1], ty = row % kernel[1];
                  add({lefts + (z * stride[0] + tz) * inputs + (plane.phase(ty, tx) * in + i) * plane.length +
                           plane.offset(ty, tx) + at,
                       rights + z * gradients + o * plane.positions + at * 16, plane.length, stride[0] * inputs,
                       gradients, leftPart, rightPart, 16 * plane.positions, std::min(together, planes - z),
                       std::min(kPositions, plane.positions - at),
                       dw.data_ptr<float>() + ((row * kernel[2] + tx) * in + i) * out + o, out});
                }
        }
      });
    }
  return dw;
}

} // namespace

Tensor tileGradient(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride) {
  auto gradient = x.scalar_type() == at::kFloat ? gradientAs<float> : gradientAs<BFloat16>;
  return gradient(x, dy, kernel, stride);
}

#endif

} // namespace patchwise
