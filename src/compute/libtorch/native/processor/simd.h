// As many floats at a time as one register of the processor holds, in GCC's and Clang's vector extension. Wider vectors
// would live in memory.
#pragma once
#include <c10/util/BFloat16.h>
#include <algorithm>
#include <cstdint>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace patchwise {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Floats __attribute__((vector_size(4 * kLanes), aligned(4)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes), aligned(4)));

#define PATCHWISE_INLINE __attribute__((always_inline)) static inline

PATCHWISE_INLINE Floats load(const float* from) { return *(const Floats*)from; }
PATCHWISE_INLINE void store(float* to, Floats values) { *(Floats*)to = values; }

// Half-size storage: the upper 16 bits of a float, rounded to nearest, ties to even. Computing stays in floats.
using c10::BFloat16;
typedef uint16_t Halves __attribute__((vector_size(2 * kLanes), aligned(2)));
typedef uint32_t Words __attribute__((vector_size(4 * kLanes), aligned(4)));
PATCHWISE_INLINE Floats load(const BFloat16* from) {
  return (Floats)(__builtin_convertvector(*(const Halves*)from, Words) << 16);
}
PATCHWISE_INLINE Floats nearestHalf(Floats values) {
  Words bits = (Words)values;
  bits += 0x7fffu + ((bits >> 16) & 1u);
  return (Floats)(bits & 0xffff0000u);
}
PATCHWISE_INLINE void store(BFloat16* to, Floats values) {
#ifdef __AVX512BF16__
  *(Halves*)to = (Halves)_mm512_cvtneps_pbh((__m512)values);
#else
  *(Halves*)to = __builtin_convertvector((Words)nearestHalf(values) >> 16, Halves);
#endif
}
// Only the first `count`; the others load as zeros.
template <typename T>
PATCHWISE_INLINE Floats loadSome(const T* from, int count) {
  T some[kLanes] = {};
  std::copy(from, from + count, some);
  return load(some);
}
template <typename T>
PATCHWISE_INLINE void storeSome(T* to, Floats values, int count) {
  T some[kLanes];
  store(some, values);
  std::copy(some, some + count, to);
}
template <typename T>
PATCHWISE_INLINE void storeUpTo(T* to, Floats values, int count) {
  if (count == kLanes) store(to, values);
  else storeSome(to, values, count);
}
// A difference, because -0 + 0 is not -0: the compiler would have to compute a sum.
PATCHWISE_INLINE Floats all(float value) { return value - Floats{}; }

inline int64_t upTo(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

PATCHWISE_INLINE float total(Floats values) {
  float sum = 0;
  for (int lane = 0; lane < kLanes; lane++) sum += values[lane];
  return sum;
}

// x, limited to -87 to 88; not a number if x is not.
PATCHWISE_INLINE Floats clamped(Floats x) {
#ifdef __AVX512F__
  return (Floats)_mm512_min_ps((__m512)all(88.f), _mm512_max_ps((__m512)all(-87.f), (__m512)x));
#else
  x = x < -87.f ? all(-87.f) : x;
  return x > 88.f ? all(88.f) : x;
#endif
}

// exp(x) to 2 units in the last place: 2^n times a polynomial of the rest (Cephes' expf).
PATCHWISE_INLINE Floats exponential(Floats x) {
  x = clamped(x);
  // Adding and taking away 1.5 * 2^23 rounds to a whole number.
  Floats n = x * 1.44269504f + 12582912.f;
  n = n - 12582912.f;
  Floats r = x - n * 0.693359375f + n * 2.12194440e-4f; // x - n ln 2, ln 2 in two parts
  Floats p = all(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
#ifdef __AVX512F__
  return (Floats)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  Ints exponent = (__builtin_convertvector(n, Ints) + 127) << 23;
  return p * (Floats)exponent;
#endif
}

// 1 / x of a finite x, to 2 units in the last place.
PATCHWISE_INLINE Floats reciprocal(Floats x) {
#ifdef __AVX512F__
  Floats near = (Floats)_mm512_rcp14_ps((__m512)x); // 14 bits, of which Newton's step makes twice as many
  return near + near * (1.f - x * near);
#else
  return 1.f / x;
#endif
}

PATCHWISE_INLINE Floats sigmoid(Floats x) { return reciprocal(1.f + exponential(-x)); }

} // namespace patchwise
