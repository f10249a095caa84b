// The processor's matrix unit (Intel's AMX). It multiplies a tile of 16 rows of 32 bfloat16 by a tile of 16 pairs of
// rows of 16 columns, and adds the product to a tile of 16 x 16 floats, in the time of about 16 vector instructions.
#pragma once
#include <type_traits>
#include "processor/simd.h"
#if defined(__AMX_BF16__) && defined(__AVX512F__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define PATCHWISE_TILES 1
#else
#define PATCHWISE_TILES 0
#endif

namespace patchwise {

// Whether the compiler, the processor and the system allow this process to use it.
inline bool hasMatrixUnit() {
#if PATCHWISE_TILES
  static const bool has = [] {
    unsigned a, b, c, features = 0;
    constexpr unsigned kNeeded = 1u << 22 | 1u << 24; // bfloat16, tiles
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &features) || (features & kNeeded) != kNeeded) return false;
    // Linux gives a process the unit's large registers when it asks for them.
    constexpr long kRequest = 0x1023, kTileData = 18;
    return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  }();
  return has;
#else
  return false;
#endif
}

// Numbers come to the unit in parts: a bfloat16 in one, a float as the exact sum of three bfloat16 (8 + 8 + 8 bits).
template <typename T>
constexpr int kParts = std::is_same<T, float>::value ? 3 : 1;

#if PATCHWISE_TILES

// The shapes of the eight tile registers of a thread: 0 to 3 are sums, 4 and 5 left sides, 6 and 7 right sides. Sums 0
// and 1 belong to the first left side. The unit is released at the end, because other users expect it to be free.
class TileShapes {
 public:
  // Rows of the two left sides, and pairs that a product adds up.
  void use(int first, int second, int pairs) {
    if (first == first_ && second == second_ && pairs == pairs_) return;
    first_ = first, second_ = second, pairs_ = pairs;
    const int rows[8] = {first, first, second, second, first, second, pairs, pairs};
    for (int tile = 0; tile < 8; tile++) {
      config_.rows[tile] = std::max(rows[tile], 1);
      config_.bytes[tile] = tile == 4 || tile == 5 ? 4 * pairs : 64;
    }
    _tile_loadconfig(&config_);
  }
  ~TileShapes() { _tile_release(); }

 private:
  struct alignas(64) {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};
  } config_;
  int first_ = 0, second_ = 0, pairs_ = 0;
};

// What a step multiplies: the first parts of the left and right sides, the elements from part to part, and the bytes from
// row to row of the left sides. Rows of the right sides are 64 bytes.
struct TileStep {
  const BFloat16 *left, *left2, *right, *right2;
  int64_t stride, leftPart = 0, rightPart = 0;
};

template <int kLeft>
PATCHWISE_INLINE void loadLeft(const TileStep& step, int part) {
  _tile_loadd(4, step.left + part * step.leftPart, step.stride);
  if (kLeft > 1) _tile_loadd(5, step.left2 + part * step.leftPart, step.stride);
}
template <int kRight>
PATCHWISE_INLINE void loadRight(const TileStep& step, int part) {
  _tile_loadd(6, step.right + part * step.rightPart, 64);
  if (kRight > 1) _tile_loadd(7, step.right2 + part * step.rightPart, 64);
}
template <int kLeft, int kRight>
PATCHWISE_INLINE void addProducts() {
  _tile_dpbf16ps(0, 4, 6);
  if (kRight > 1) _tile_dpbf16ps(1, 4, 7);
  if (kLeft > 1) _tile_dpbf16ps(2, 5, 6);
  if (kLeft > 1 && kRight > 1) _tile_dpbf16ps(3, 5, 7);
}

// Adds the step's products to the sums of `kLeft` left and `kRight` right sides. Of the nine products of two floats'
// parts it leaves out the three smallest, below 2^-24 of the whole: rounding a float's product loses as much.
template <typename T, int kLeft, int kRight>
PATCHWISE_INLINE void tileProduct(const TileStep& step) {
  auto load = [&](int left, int right) {
    if (left >= 0) loadLeft<kLeft>(step, left);
    if (right >= 0) loadRight<kRight>(step, right);
    addProducts<kLeft, kRight>();
  };
  if (kParts<T> == 1) return load(0, 0);
  constexpr int kSame = -1; // it is still loaded
  load(0, 2), load(kSame, 1), load(1, kSame), load(kSame, 0), load(2, kSame), load(0, kSame);
}

PATCHWISE_INLINE void clearSums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// The four sums as floats, rows `stride` floats apart, the second left side's behind the first's 16 rows.
template <int kLeft, int kRight>
PATCHWISE_INLINE void storeSums(float* to, int64_t stride) {
  _tile_stored(0, to, 4 * stride);
  if (kRight > 1) _tile_stored(1, to + 16, 4 * stride);
  if (kLeft > 1) _tile_stored(2, to + 16 * stride, 4 * stride);
  if (kLeft > 1 && kRight > 1) _tile_stored(3, to + 16 * stride + 16, 4 * stride);
}
template <int kLeft, int kRight>
PATCHWISE_INLINE void loadSums(const float* from, int64_t stride) {
  _tile_loadd(0, from, 4 * stride);
  if (kRight > 1) _tile_loadd(1, from + 16, 4 * stride);
  if (kLeft > 1) _tile_loadd(2, from + 16 * stride, 4 * stride);
  if (kLeft > 1 && kRight > 1) _tile_loadd(3, from + 16 * stride + 16, 4 * stride);
}

// Calls run with the counts of sides, 1 or 2 each, as types.
template <typename Run>
PATCHWISE_INLINE void bySides(bool twoLeft, bool twoRight, Run run) {
  std::integral_constant<int, 1> one;
  std::integral_constant<int, 2> two;
  if (twoLeft && twoRight) run(two, two);
  else if (twoLeft) run(two, one);
  else if (twoRight) run(one, two);
  else run(one, one);
}

// The compiler does not know that tiles are read: all that was stored before must be in memory by now.
PATCHWISE_INLINE void settle() { asm volatile("" ::: "memory"); }

// Two rows of values as pairs of bfloat16, the first row's in the lower halves.
PATCHWISE_INLINE Words pairsOf(Floats first, Floats second) {
  return (Words)nearestHalf(first) >> 16 | (Words)nearestHalf(second);
}

// The same of each part: `put(part, pairs)`.
template <int kCount, typename Put>
PATCHWISE_INLINE void partsOfPairs(const float* first, const float* second, Put put) {
  Floats a = load(first), b = load(second);
  for (int part = 0; part < kCount; part++) {
    put(part, pairsOf(a, b));
    a -= nearestHalf(a), b -= nearestHalf(b);
  }
}
template <int kCount, typename Put>
PATCHWISE_INLINE void partsOfPairs(const BFloat16* first, const BFloat16* second, Put put) {
  put(0, __builtin_convertvector(*(const Halves*)first, Words) |
             __builtin_convertvector(*(const Halves*)second, Words) << 16);
}

#endif

} // namespace patchwise
