// Codes of latents: the nearest one, without the matrix of distances, and the sums of those that chose each.
#include <ATen/Parallel.h>
#include <torch/version.h>
#include <limits>
#include "binding/call.h"
#include "processor/simd.h"
#include "processor/tasks.h"

namespace patchwise {
namespace {

// Latents that are compared at once, so that each code is loaded once for all of them.
constexpr int kTogether = 8;

// Codes as [block, width, lanes], and minus half their squared length: |z - c|^2 is smallest where z.c - |c|^2 / 2 is
// largest. Every code is summed in the same order, so equal codes compare as equal.
struct Packed {
  int64_t blocks;
  int64_t width;
  std::vector<float> codes;
  std::vector<float> starts;
};

Packed packCodes(const float* codebook, int64_t count, int64_t width) {
  Packed packed{(count + kLanes - 1) / kLanes, width, {}, {}};
  packed.codes.resize(packed.blocks * width * kLanes);
  packed.starts.resize(packed.blocks * kLanes, -std::numeric_limits<float>::infinity());
  for (int64_t code = 0; code < count; code++) {
    double square = 0;
    for (int64_t i = 0; i < width; i++) {
      float value = codebook[code * width + i];
      packed.codes[(code / kLanes * width + i) * kLanes + code % kLanes] = value;
      square += (double)value * value;
    }
    packed.starts[code] = (float)(-square / 2);
  }
  return packed;
}

template <int kRows>
void nearestRows(const float* z, const Packed& packed, int32_t* out) {
  float best[kRows];
  int32_t code[kRows] = {};
  for (float& value : best) value = -std::numeric_limits<float>::infinity();
  for (int64_t block = 0; block < packed.blocks; block++) {
    Floats scores[kRows];
    for (auto& score : scores) score = load(&packed.starts[block * kLanes]);
    const float* codes = &packed.codes[block * packed.width * kLanes];
    for (int64_t i = 0; i < packed.width; i++) {
      Floats values = load(codes + i * kLanes);
      for (int row = 0; row < kRows; row++) scores[row] += values * z[row * packed.width + i];
    }
    for (int row = 0; row < kRows; row++)
      for (int lane = 0; lane < kLanes; lane++)
        if (scores[row][lane] > best[row]) {
          best[row] = scores[row][lane];
          code[row] = (int32_t)(block * kLanes + lane);
        }
  }
  std::copy(code, code + kRows, out);
}

// int32 [m]: the row of codebook [k, d] nearest each row of z [m, d]
Tensor nearestCode(Tensor z, Tensor codebook) {
  z = z.to(at::kFloat).contiguous(), codebook = codebook.contiguous();
  TORCH_CHECK(z.dim() == 2 && codebook.dim() == 2 && z.size(1) == codebook.size(1) && codebook.size(0) > 0,
              "z [m, d] and codebook [k, d] expected");
  if (!takesOwnLoops(z)) {
    // In parts of at most this many distances.
    int64_t rows = std::max<int64_t>(1, (int64_t(1) << 24) / codebook.size(0));
    Tensor starts = codebook.square().sum(1).mul(-0.5f);
    std::vector<Tensor> parts;
    for (const Tensor& part : z.split(rows)) parts.push_back(at::addmm(starts, part, codebook.t()).argmax(1));
    return at::cat(parts).to(at::kInt);
  }
  int64_t width = z.size(1), rows = z.size(0);
  Packed packed = packCodes(codebook.data_ptr<float>(), codebook.size(0), width);
  Tensor codes = at::empty({rows}, z.options().dtype(at::kInt));
  const float* from = z.data_ptr<float>();
  int32_t* to = codes.data_ptr<int32_t>();
  int64_t groups = rows / kTogether;
  eachIndex(groups, 16, [&](int64_t group) {
    nearestRows<kTogether>(from + group * kTogether * width, packed, to + group * kTogether);
  });
  for (int64_t row = groups * kTogether; row < rows; row++) nearestRows<1>(from + row * width, packed, to + row);
  return codes;
}

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 6)
using Index = std::optional<Tensor>;
#else
using Index = c10::optional<Tensor>;
#endif

// [counts [count], sums [count, d]] of the rows of z [m, d] with each code, added in doubles, in the order of the rows.
Results sumByCode(Tensor z, Tensor codes, int64_t count) {
  z = z.to(at::kFloat).contiguous(), codes = codes.contiguous();
  TORCH_CHECK(z.dim() == 2 && codes.dim() == 1 && codes.size(0) == z.size(0), "z [m, d] and codes [m] expected");
  int64_t rows = z.size(0), width = z.size(1);
  if (rows > 0) {
    auto [least, most] = at::aminmax(codes);
    TORCH_CHECK(least.item<int64_t>() >= 0 && most.item<int64_t>() < count, "codes in [0, ", count, ") expected");
  }
  auto doubles = z.options().dtype(at::kDouble);
  Tensor counts = at::zeros({count}, doubles), sums = at::zeros({count, width}, doubles);
  if (!takesOwnLoops(z)) {
    // Unlike index_add, this sorts the codes on a GPU, and adds in the same order every time.
    c10::List<Index> at{Index(codes.to(at::kLong))};
    counts.index_put_(at, at::full({rows}, 1, doubles), true);
    sums.index_put_(at, z.to(at::kDouble), true);
    return {counts.to(at::kFloat), sums.to(at::kFloat)};
  }
  const float* from = z.data_ptr<float>();
  const int32_t* code = codes.data_ptr<int32_t>();
  double *number = counts.data_ptr<double>(), *to = sums.data_ptr<double>();
  for (int64_t row = 0; row < rows; row++) number[code[row]]++;
  // Each thread has some columns of all rows.
  at::parallel_for(0, width, 16, [&](int64_t start, int64_t end) {
    for (int64_t row = 0; row < rows; row++)
      for (int64_t i = start; i < end; i++) to[code[row] * width + i] += from[row * width + i];
  });
  return {counts.to(at::kFloat), sums.to(at::kFloat)};
}

const Exports search{"kernels", {{"nearestCode", nearestCode}, {"sumByCode", sumByCode}}};

} // namespace
} // namespace patchwise
