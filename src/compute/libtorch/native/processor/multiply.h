// Products of small matrices of floats.
#pragma once
#include "processor/simd.h"

namespace patchwise {

// A matrix product's operands: c [rows, columns] (+)= a [rows, depth] b [depth, columns], columns innermost; element
// (row, k) of a is at row * aRow + k * aDepth.
struct Product {
  const float* a;
  int64_t aRow, aDepth;
  const float* b;
  int64_t bDepth;
  float* c;
  int64_t cRow;
  int64_t depth;
  bool add;
};

template <int kRows, int kVectors>
inline void multiplyPart(const Product& p) {
  Floats sums[kRows][kVectors];
  for (int row = 0; row < kRows; row++)
    for (int v = 0; v < kVectors; v++) sums[row][v] = p.add ? load(p.c + row * p.cRow + v * kLanes) : Floats{};
  const float *a = p.a, *b = p.b;
  for (int64_t k = 0; k < p.depth; k++, a += p.aDepth, b += p.bDepth) {
    Floats right[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) right[v] = load(b + v * kLanes);
#pragma GCC unroll 16
    for (int row = 0; row < kRows; row++) {
      Floats left = all(a[row * p.aRow]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) sums[row][v] += left * right[v];
    }
  }
  for (int row = 0; row < kRows; row++)
    for (int v = 0; v < kVectors; v++) store(p.c + row * p.cRow + v * kLanes, sums[row][v]);
}

// As many sums as fit the registers beside the factors.
#ifdef __AVX512F__
constexpr int kRows = 8, kVectors = 2;
#else
constexpr int kRows = 4, kVectors = 2;
#endif

template <int kSome>
inline void multiplyRows(Product p, int64_t columns) {
  constexpr int64_t kStep = kVectors * kLanes;
  for (; columns >= kStep; columns -= kStep, p.b += kStep, p.c += kStep) multiplyPart<kSome, kVectors>(p);
  if (columns > 0) multiplyPart<kSome, 1>(p);
}

// All rows; columns are whole vectors.
inline void multiply(Product p, int64_t rows, int64_t columns) {
  for (; rows >= kRows; rows -= kRows, p.a += kRows * p.aRow, p.c += kRows * p.cRow) multiplyRows<kRows>(p, columns);
  for (; rows >= 2; rows -= 2, p.a += 2 * p.aRow, p.c += 2 * p.cRow) multiplyRows<2>(p, columns);
  if (rows > 0) multiplyRows<1>(p, columns);
}

} // namespace patchwise
