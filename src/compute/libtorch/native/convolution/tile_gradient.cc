// Gradients of weights by the matrix unit: for each tap, the product of shifted inputs, channels by voxels, and
// gradients of outputs, voxels by channels. Both are on one flat grid of voxels, with zeros among the gradients where the
// grid is wider than the outputs. A tap is then an offset by which the gradients are shifted.
#include "convolution/methods.h"
#include "processor/matrix_unit.h"
#include "processor/tasks.h"
#include "processor/transpose.h"

namespace patchwise {

#if !PATCHWISE_TILES

Tensor tileGradient(const Tensor&, const Tensor&, const Size3&, const Size3&, const Size3&, Tensor*) {
  TORCH_CHECK(false, "no matrix unit here");
}

#else

namespace {

// Positions of the grid at a time: 32 channels of both sides then fit the nearest cache.
template <typename T>
constexpr int64_t kPositions = std::is_same<T, float>::value ? 128 : 256;
constexpr int64_t kChunk = 1024; // positions that a thread packs at a time
constexpr int64_t kTile = 512; // elements: 16 channels by 32 positions, or 16 pairs of positions by 16 channels

// The grid of a plane: every stride-th voxel of the inputs and of the zeros around them. Each plane of inputs becomes
// stride x stride such planes ("phases").
struct Plane {
  Size3 kernel, stride;
  int64_t pitch;            // voxels of a row, with the zeros before it
  int64_t positions;        // voxels from the first gradient to the last
  int64_t length;           // voxels of a phase that taps reach, whole tiles
  int64_t pairs;            // of gradients, with 32 zeros before and after them

  Plane(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride, const Size3& border)
      : kernel(kernel), stride(stride) {
    pitch = (border[2] + x.size(3) + stride[2] - 1) / stride[2];
    positions = (dy.size(2) - 1) * pitch + dy.size(3);
    length = upTo(positions + offset(kernel[1] - 1, kernel[2] - 1), 32);
    pairs = upTo(positions + 64, 32) / 2;
  }
  int64_t phases() const { return stride[1] * stride[2]; }
  int64_t phase(int64_t y, int64_t x) const { return y % stride[1] * stride[2] + x % stride[2]; }
  int64_t offset(int64_t y, int64_t x) const { return y / stride[1] * pitch + x / stride[2]; }
};

// A plane [h, w, c], and zeros as long as a voxel.
template <typename T>
struct Voxels {
  const T *data, *zeros;
  int64_t height, width, channels;
};

// Where a plane's voxels, with `border` zeros around them, are on a phase of the grid behind `before` positions of zeros;
// positions from `first` on only.
template <typename T>
void placeVoxels(const Voxels<T>& plane, const Plane& grid, const Size3& border, int64_t phase, int64_t before,
                 int64_t first, std::vector<const T*>& voxels) {
  std::fill(voxels.begin(), voxels.end(), plane.zeros);
  int64_t y0 = phase / grid.stride[2], x0 = phase % grid.stride[2], end = first + (int64_t)voxels.size();
  int64_t skipped = std::max<int64_t>(0, (border[2] - x0 + grid.stride[2] - 1) / grid.stride[2]);
  int64_t x = x0 + skipped * grid.stride[2] - border[2], width = (plane.width - x + grid.stride[2] - 1) / grid.stride[2];
  for (int64_t row = 0; y0 + row * grid.stride[1] < border[1] + plane.height; row++) {
    int64_t y = y0 + row * grid.stride[1] - border[1], start = before + row * grid.pitch + skipped;
    if (y < 0) continue;
    const T* from = plane.data + (y * plane.width + x) * plane.channels;
    for (int64_t i = std::max(start, first); i < std::min(start + width, end); i++)
      voxels[i - first] = from + (i - start) * grid.stride[2] * plane.channels;
  }
}

// Some positions of a plane of inputs as [phase, c / 16, positions / 32, part, 16, 32].
template <typename T>
void packInputs(const Voxels<T>& inputs, const Plane& plane, const Size3& border, int64_t phase, int64_t first,
                BFloat16* out) {
  int64_t channels = inputs.channels, count = std::min(kChunk, plane.length - first);
  std::vector<const T*> voxels(count);
  placeVoxels(inputs, plane, border, phase, 0, first, voxels);
  out += (phase * channels * plane.length + first * 16) * kParts<T>;
  for (int64_t at = 0; at < count; at += 32)
    for (int64_t c = 0; c < channels; c += 16) {
      Words blocks[kParts<T>][16];
      for (int i = 0; i < 16; i++)
        partsOfPairs<kParts<T>>(voxels[at + 2 * i] + c, voxels[at + 2 * i + 1] + c,
                                [&](int p, Words pairs) { blocks[p][i] = pairs; });
      BFloat16* to = out + (c * plane.length + at * 16) * kParts<T>;
      for (int p = 0; p < kParts<T>; p++, to += kTile) {
        transposeWords(blocks[p]);
        for (int i = 0; i < 16; i++) *(Words*)(to + i * 32) = blocks[p][i];
      }
    }
}

// Some pairs of a plane of gradients as [parity, c / 16, part, pairs, 16, 2]: pairs that begin at even positions, and at
// odd ones, so that a shift by any tap is whole pairs. Adds them by channel to `sums`, if that is given.
template <typename T>
void packGradients(const Voxels<T>& gradients, const Plane& plane, int64_t odd, int64_t first, BFloat16* out, float* sums) {
  int64_t channels = gradients.channels, count = std::min(kChunk / 2, plane.pairs - first);
  Plane grid = plane;
  grid.stride = {1, 1, 1};
  std::vector<const T*> voxels(2 * count);
  placeVoxels(gradients, grid, {0, 0, 0}, 0, 32 + odd, 2 * first, voxels);
  out += (odd * channels * kParts<T> * plane.pairs + first * 16) * 2;
  for (int64_t i = 0; i < count; i++)
    for (int64_t c = 0; c < channels; c += 16) {
      const T *even = voxels[2 * i] + c, *next = voxels[2 * i + 1] + c;
      partsOfPairs<kParts<T>>(even, next, [&](int p, Words pairs) {
        *(Words*)(out + ((c / 16 * kParts<T> + p) * plane.pairs + i) * 32) = pairs;
      });
      if (sums) store(sums + c, load(sums + c) + (load(even) + load(next)));
    }
}

// A tap's share of the sums of up to 32 x 32 channels, over planes that are a step apart.
struct Share {
  const BFloat16 *left, *right;
  int64_t leftStep, rightStep;   // from plane to plane
  int64_t leftPanel, rightPanel; // from 16 channels to the next
  int64_t rightPart;
  int64_t planes, positions;
  float* sums;
  int64_t out;
};

template <typename T, int kLeft, int kRight>
void addShare(const Share& s) {
  loadSums<kLeft, kRight>(s.sums, s.out);
  for (int64_t plane = 0; plane < s.planes; plane++) {
    const BFloat16 *left = s.left + plane * s.leftStep, *right = s.right + plane * s.rightStep;
    for (int64_t i = 0; i < s.positions; i += 32, left += kParts<T> * kTile, right += kTile)
      tileProduct<T, kLeft, kRight>({left, left + s.leftPanel, right, right + s.rightPanel, 64, kTile, s.rightPart});
  }
  storeSums<kLeft, kRight>(s.sums, s.out);
}

// The sums over the rows of [rows, channels], in their order.
Tensor sumOfRows(const Tensor& rows) {
  Tensor sums = at::zeros({rows.size(1)}, rows.options());
  float* to = sums.data_ptr<float>();
  for (int64_t i = 0; i < rows.size(0); i++)
    for (int64_t c = 0; c < rows.size(1); c++) to[c] += rows.data_ptr<float>()[i * rows.size(1) + c];
  return sums;
}

template <typename T>
Tensor gradientAs(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride, const Size3& border,
                  Tensor* channelSums) {
  int64_t in = x.size(4), out = dy.size(4), depth = dy.size(1);
  at::TensorOptions packed = x.options().dtype(at::kBFloat16);
  Tensor dw = at::zeros({kernel[0], kernel[1], kernel[2], in, out}, x.options().dtype(at::kFloat));
  Plane plane(x, dy, kernel, stride, border);
  // Elements of 16 channels of a plane, and of all of them.
  int64_t leftPanel = kParts<T> * plane.length * 16, rightPanel = kParts<T> * plane.pairs * 32;
  int64_t inputs = plane.phases() * in / 16 * leftPanel, gradients = 2 * out / 16 * rightPanel;
  int64_t most = std::clamp<int64_t>(copiedAtATime(x) / 2 / (inputs * stride[0] + gradients), 1, depth);
  int64_t room = (most - 1) * stride[0] + kernel[0]; // planes of inputs that some planes of gradients meet
  Tensor left = at::empty({room, inputs}, packed), right = at::empty({most, gradients}, packed);
  BFloat16 *lefts = left.data_ptr<BFloat16>(), *rights = right.data_ptr<BFloat16>();
  std::vector<T> zeros(std::max(in, out), T(0.f));
  auto voxelsOf = [&](const T* volume, const Tensor& of, int64_t n, int64_t z) {
    return Voxels<T>{volume + n * of.stride(0) + z * of.stride(1), zeros.data(), of.size(2), of.size(3), of.size(4)};
  };
  const T *inputValues = x.data_ptr<T>(), *gradientValues = dy.data_ptr<T>();
  float* sums = dw.data_ptr<float>();
  int64_t pairs = ((in + 31) / 32) * ((out + 31) / 32), rows = kernel[0] * kernel[1];
  int64_t inputChunks = (plane.length + kChunk - 1) / kChunk, gradientChunks = (2 * plane.pairs + kChunk - 1) / kChunk;
  Tensor partial; // sums of gradients by channel, of each chunk
  if (channelSums) partial = at::zeros({x.size(0) * depth * gradientChunks, out}, dw.options());
  // Planes, or positions of one, that stay in the cache while all taps of a task read them.
  int64_t together = most < depth ? 1 : std::max<int64_t>(1, kPositions<T> / plane.length);
  for (int64_t n = 0; n < x.size(0); n++)
    for (int64_t z0 = 0, have = 0; z0 < depth; z0 += most) {
      int64_t planes = std::min(most, depth - z0);
      // Planes of inputs that the gradients before met too are still there: plane z is at z % room.
      int64_t first = std::max(have, z0 * stride[0]), fresh = (z0 + planes - 1) * stride[0] + kernel[0] - first;
      have = first + fresh;
      eachTask(planes * 2 * gradientChunks + fresh * plane.phases() * inputChunks, [&](auto next) {
        for (int64_t task = next(); task >= 0; task = next()) {
          int64_t i = task - planes * 2 * gradientChunks;
          if (i < 0) {
            int64_t z = task / gradientChunks / 2, odd = task / gradientChunks % 2, chunk = task % gradientChunks;
            int64_t row = (n * depth + z0 + z) * gradientChunks + chunk;
            packGradients(voxelsOf(gradientValues, dy, n, z0 + z), plane, odd, chunk * kChunk / 2, rights + z * gradients,
                          channelSums && !odd ? partial.data_ptr<float>() + row * out : nullptr);
          } else {
            int64_t z = first + i / inputChunks / plane.phases(), phase = i / inputChunks % plane.phases();
            if (z < border[0] || z >= border[0] + x.size(1)) continue; // no plane of zeros is read
            packInputs(voxelsOf(inputValues, x, n, z - border[0]), plane, border, phase, i % inputChunks * kChunk,
                       lefts + z % room * inputs);
          }
        }
      });
      // A task is a plane of taps of 32 x 32 channels, or a row of taps where there are few channels.
      int64_t split = pairs >= 2 * at::get_num_threads() ? kernel[0] : rows;
      eachTask(pairs * split, [&](auto next) {
        TileShapes shapes;
        shapes.use(16, 16, 16);
        settle();
        for (int64_t task = next(); task >= 0; task = next()) {
          int64_t i = task / split / ((out + 31) / 32) * 32, o = task / split % ((out + 31) / 32) * 32;
          int64_t firstRow = task % split * rows / split, endRow = (task % split + 1) * rows / split;
          // Adds positions from `at` on of planes from `z` on, for taps that shift by an even (odd) number of positions.
          auto add = [&](int64_t z, int64_t at, int64_t odd, int64_t row, int64_t tx) {
            int64_t tz = row / kernel[1], ty = row % kernel[1], offset = plane.offset(ty, tx);
            if (offset % 2 != odd) return;
            Reach reach(tz, stride[0], border[0], x.size(1), depth);
            int64_t zEnd = std::min({z + together, planes, reach.end - z0});
            z = std::max(z, reach.first - z0);
            if (z >= zEnd) return;
            int64_t first = std::max(at, offset / 32 * 32);
            int64_t end = std::min(at + kPositions<T>, upTo(offset + plane.positions, 32));
            if (first >= end) return;
            const BFloat16* left = lefts + ((z0 + z) * stride[0] + tz) % room * inputs;
            left += (plane.phase(ty, tx) * in + i) / 16 * leftPanel;
            const BFloat16* right = rights + z * gradients + (odd * out + o) / 16 * rightPanel;
            Share share{left + first * kParts<T> * 16, right + (first - offset + 32 + odd) / 2 * 32, stride[0] * inputs,
                        gradients, leftPanel, rightPanel, plane.pairs * 32, zEnd - z, end - first,
                        sums + ((row * kernel[2] + tx) * in + i) * out + o, out};
            bySides(i + 16 < in, o + 16 < out, [&](auto twoLeft, auto twoRight) {
              addShare<T, decltype(twoLeft)::value, decltype(twoRight)::value>(share);
            });
          };
          for (int64_t z = 0; z < planes; z += together)
            for (int64_t at = 0; at < plane.length; at += kPositions<T>)
              for (int64_t odd = 0; odd < 2; odd++)
                for (int64_t row = firstRow; row < endRow; row++)
                  for (int64_t tx = 0; tx < kernel[2]; tx++) add(z, at, odd, row, tx);
        }
      });
    }
  if (channelSums) *channelSums = sumOfRows(partial);
  return dw;
}

} // namespace

Tensor tileGradient(const Tensor& x, const Tensor& dy, const Size3& kernel, const Size3& stride, const Size3& border,
                    Tensor* sums) {
  auto gradient = x.scalar_type() == at::kFloat ? gradientAs<float> : gradientAs<BFloat16>;
  return gradient(x, dy, kernel, stride, border, sums);
}

#endif

} // namespace patchwise
