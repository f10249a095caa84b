#include "tiles.h"
#include <ATen/Parallel.h>
#include <cstring>
#include "matrix_unit.h"
#if PATCHWISE_TILES
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace patchwise {

#if !PATCHWISE_TILES

bool hasMatrixUnit() { return false; }
bool tilesFit(at::IntArrayRef, const Size3&) { return false; }
Tensor tileGather(const Tensor&, const Tensor&, const Size3&, const Tensor&) { return {}; }
Tensor tileSpread(const Tensor&, const Tensor&, const Size3&, const Size3&, const Size3&, const Tensor&) { return {}; }

#else

bool hasMatrixUnit() {
  // Linux gives a process the unit's large registers when it asks for them.
  constexpr long kRequest = 0x1023, kTileData = 18;
  static const bool has = __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("amx-tile") &&
                          syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return has;
}

bool tilesFit(at::IntArrayRef weights, const Size3& stride) {
  for (int axis = 0; axis < 3; axis++)
    if (weights[axis] < stride[axis]) return false;
  return weights[3] % 16 == 0 && weights[4] % 16 == 0 && hasMatrixUnit();
}

namespace {

// Which of the kernel's taps along an axis are used, in which order.
struct TapRow {
  int64_t first, step, count;
};

// Elements from voxel to voxel along each axis.
struct Steps {
  int64_t n, z, y, x;
};
Steps stepsOf(const Tensor& x) { return {x.stride(0), x.stride(1), x.stride(2), x.stride(3)}; }

// Outputs on a regular grid, each the sum over rows of taps, of which every row is `run` inputs on end.
struct Grid {
  const BFloat16* x;
  Steps from;         // inputs of one output to those of the next
  int64_t tapZ, tapY; // elements from one row of taps to the next
  int64_t depth, height, run;
  BFloat16* y;
  Steps to;
  int64_t n, d, h, w; // outputs
};

// Pairs of inputs that one product adds up: as many as divide a run.
int pairsFor(int64_t run) {
  int64_t tiles = (run + 31) / 32;
  while (run % (2 * tiles)) tiles++;
  return (int)(run / tiles / 2);
}

// Weights [kd, kh, kw, from, to] as [to / 16, row of taps, pair of inputs, 16, 2].
Tensor packWeights(const Tensor& w, const std::array<TapRow, 3>& taps) {
  int64_t from = w.size(3), to = w.size(4), run = taps[2].count * from, rows = taps[0].count * taps[1].count;
  Tensor packed = at::empty({to / 16, rows, run / 2, 16, 2}, w.options().dtype(at::kBFloat16));
  const float* source = w.data_ptr<float>();
  auto* target = (uint32_t*)packed.data_ptr<BFloat16>();
  at::parallel_for(0, to / 16 * rows, 1, [&](int64_t start, int64_t end) {
    for (int64_t i = start; i < end; i++) {
      int64_t z = taps[0].first + i % rows / taps[1].count * taps[0].step;
      int64_t y = taps[1].first + i % rows % taps[1].count * taps[1].step;
      uint32_t* out = target + i * run * 8;
      for (int64_t tap = 0; tap < taps[2].count; tap++) {
        int64_t x = taps[2].first + tap * taps[2].step;
        const float* in = source + ((z * w.size(1) + y) * w.size(2) + x) * from * to + i / rows * 16;
        for (int64_t c = 0; c < from; c += 2, in += 2 * to, out += 16) *(Words*)out = pairsOf(load(in), load(in + to));
      }
    }
  });
  return packed;
}

template <int kLeft, int kRight>
void sumTaps(const Grid& grid, const BFloat16* x, const BFloat16* right, int64_t panel, int pairs, float* sums) {
  int64_t stride = 2 * grid.from.x;
  clearSums();
  for (int64_t z = 0; z < grid.depth; z++)
    for (int64_t y = 0; y < grid.height; y++) {
      const BFloat16* left = x + z * grid.tapZ + y * grid.tapY;
      for (int64_t k = 0; k < grid.run; k += 2 * pairs, right += 32 * pairs)
        tileProduct<kLeft, kRight>({left + k, left + k + 16 * grid.from.x, right, right + panel, stride});
    }
  storeSums<kLeft, kRight>(sums, 32);
}

void sumAll(const Grid& grid, const Tensor& packed, const float* bias) {
  int64_t out = packed.size(0) * 16, panel = packed.stride(0), planes = grid.n * grid.d;
  int pairs = pairsFor(grid.run);
  // Outputs of a plane in one line, over the ends of its rows, where that takes fewer tiles than row by row.
  int64_t pitch = grid.from.y / grid.from.x, line = (grid.h - 1) * pitch + grid.w, lines = grid.h;
  if ((line + 15) / 16 < grid.h * ((grid.w + 15) / 16)) lines = 1;
  else line = pitch = grid.w;
  int64_t parts = (line + 31) / 32, blocks = lines * parts;
  at::parallel_for(0, (out + 31) / 32 * planes * blocks, 1, [&](int64_t start, int64_t end) {
    TileShapes shapes;
    alignas(64) float sums[32 * 32];
    settle();
    for (int64_t i = start; i < end; i++) {
      int64_t channel = i / (planes * blocks) * 32, plane = i / blocks % planes, y0 = i % blocks / parts;
      int64_t n = plane / grid.d, z = plane % grid.d, x0 = i % parts * 32;
      int count = (int)std::min<int64_t>(32, line - x0), first = std::min(count, 16);
      int right = channel + 16 < out ? 2 : 1;
      shapes.use(first, count - first, pairs);
      const BFloat16* from = grid.x + n * grid.from.n + z * grid.from.z + y0 * grid.from.y + x0 * grid.from.x;
      auto sum = PATCHWISE_BY_SIDES(count > 16 ? 2 : 1, right, sumTaps);
      sum(grid, from, packed.data_ptr<BFloat16>() + channel / 16 * panel, panel, pairs, sums);
      BFloat16* plane0 = grid.y + n * grid.to.n + z * grid.to.z + channel;
      for (int row = 0; row < count; row++) {
        int64_t y = y0 + (x0 + row) / pitch, x = (x0 + row) % pitch;
        if (x >= grid.w) continue;
        BFloat16* to = plane0 + y * grid.to.y + x * grid.to.x;
        for (int c = 0; c < 16 * right; c += 16) {
          Floats sum = load(sums + row * 32 + c);
          store(to + c, bias ? sum + load(bias + channel + c) : sum);
        }
      }
    }
  });
}

const float* floatsOf(const Tensor& bias) { return bias.defined() ? bias.data_ptr<float>() : nullptr; }

} // namespace

Tensor tileGather(const Tensor& x, const Tensor& weights, const Size3& stride, const Tensor& bias) {
  Tensor w = weights.to(at::kFloat).contiguous(), b = bias.defined() ? bias.contiguous() : bias;
  int64_t size[3];
  for (int axis = 0; axis < 3; axis++) size[axis] = (x.size(1 + axis) - w.size(axis)) / stride[axis] + 1;
  Tensor y = at::empty({x.size(0), size[0], size[1], size[2], w.size(4)}, x.options());
  Tensor packed = packWeights(w, {TapRow{0, 1, w.size(0)}, TapRow{0, 1, w.size(1)}, TapRow{0, 1, w.size(2)}});
  Steps in = stepsOf(x);
  sumAll({x.data_ptr<BFloat16>(),
          {in.n, in.z * stride[0], in.y * stride[1], in.x * stride[2]},
          in.z, in.y, w.size(0), w.size(1), w.size(2) * w.size(3),
          y.data_ptr<BFloat16>(), stepsOf(y), y.size(0), size[0], size[1], size[2]},
         packed, floatsOf(b));
  return y;
}

Tensor tileSpread(const Tensor& x, const Tensor& weights, const Size3& stride, const Size3& crop, const Size3& size,
                  const Tensor& bias) {
  Tensor w = weights.to(at::kFloat).contiguous(), b = bias.defined() ? bias.contiguous() : bias;
  // Outputs `stride` apart along an axis have the same taps, a phase: output stride * i + phase is the sum over j of
  // input i + shift - j times tap rest + stride * j.
  struct Phase {
    int64_t outputs, shift;
    TapRow taps;
  };
  std::array<std::vector<Phase>, 3> phases;
  Size3 before{0, 0, 0}, after{0, 0, 0};
  for (int axis = 0; axis < 3; axis++)
    for (int64_t phase = 0; phase < std::min(stride[axis], size[axis]); phase++) {
      int64_t step = stride[axis], shift = (phase + crop[axis]) / step, rest = (phase + crop[axis]) % step;
      int64_t count = (w.size(axis) - rest + step - 1) / step, outputs = (size[axis] - phase + step - 1) / step;
      phases[axis].push_back({outputs, shift - (count - 1), {rest + step * (count - 1), -step, count}});
      before[axis] = std::max(before[axis], count - 1 - shift);
      after[axis] = std::max(after[axis], outputs - 1 + shift - (x.size(1 + axis) - 1));
    }
  Tensor field = zeroBordered(x, before, after);
  Tensor y = at::empty({x.size(0), size[0], size[1], size[2], w.size(4)}, x.options());
  Steps in = stepsOf(field), to = stepsOf(y);
  for (size_t i = 0; i < phases[0].size(); i++)
    for (size_t j = 0; j < phases[1].size(); j++)
      for (size_t k = 0; k < phases[2].size(); k++) {
        const Phase &pz = phases[0][i], &py = phases[1][j], &px = phases[2][k];
        int64_t first = (pz.shift + before[0]) * in.z + (py.shift + before[1]) * in.y + (px.shift + before[2]) * in.x;
        sumAll({field.data_ptr<BFloat16>() + first, in, in.z, in.y, pz.taps.count, py.taps.count,
                px.taps.count * w.size(3), y.data_ptr<BFloat16>() + i * to.z + j * to.y + k * to.x,
                {to.n, to.z * stride[0], to.y * stride[1], to.x * stride[2]},
                y.size(0), pz.outputs, py.outputs, px.outputs},
               packWeights(w, {pz.taps, py.taps, px.taps}), floatsOf(b));
      }
  return y;
}

#endif

Tensor zeroBordered(const Tensor& x, const Size3& before, const Size3& after) {
  if (Border{before, after}.empty()) return x;
  int64_t depth = x.size(1) + before[0] + after[0], height = x.size(2) + before[1] + after[1];
  int64_t voxel = x.size(4) * x.element_size(), row = x.size(3) * voxel, left = before[2] * voxel;
  int64_t right = after[2] * voxel, whole = left + row + right;
  Tensor to = at::empty({x.size(0), depth, height, x.size(3) + before[2] + after[2], x.size(4)}, x.options());
  const char* source = (const char*)x.data_ptr();
  at::parallel_for(0, x.size(0) * depth * height, 16, [&](int64_t start, int64_t end) {
    for (int64_t i = start; i < end; i++) {
      char* out = (char*)to.data_ptr() + i * whole;
      int64_t n = i / (depth * height), z = i / height % depth - before[0], y = i % height - before[1];
      if (z < 0 || y < 0 || z >= x.size(1) || y >= x.size(2)) {
        std::memset(out, 0, whole);
        continue;
      }
      std::memset(out, 0, left);
      std::memcpy(out + left, source + ((n * x.size(1) + z) * x.size(2) + y) * row, row);
      std::memset(out + left + row, 0, right);
    }
  });
  return to;
}

} // namespace patchwise
