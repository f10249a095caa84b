// Transposes of matrices.
#pragma once
#include "processor/simd.h"
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace patchwise {

#ifdef __AVX512F__

// Of 16 x 16 words.
inline void transposeWords(Words (&m)[16]) {
  // In step k, blocks of k x k words beside the diagonal change places.
  auto swap = [&](Words low, Words high, int k) {
    for (int i = 0; i < 16; i++)
      if (!(i & k)) {
        Words a = m[i], b = m[i + k];
        m[i] = (Words)_mm512_permutex2var_epi32((__m512i)a, (__m512i)low, (__m512i)b);
        m[i + k] = (Words)_mm512_permutex2var_epi32((__m512i)a, (__m512i)high, (__m512i)b);
      }
  };
  swap(Words{0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30},
       Words{1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31}, 1);
  swap(Words{0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29},
       Words{2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31}, 2);
  swap(Words{0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27},
       Words{4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31}, 4);
  swap(Words{0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23},
       Words{8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31}, 8);
}

#endif

// Of 16 x 16 floats, their rows `fromRow` and then `toRow` apart.
inline void transposeBlock(const float* from, int64_t fromRow, float* to, int64_t toRow) {
#ifdef __AVX512F__
  Words block[16];
  for (int i = 0; i < 16; i++) block[i] = (Words)load(from + i * fromRow);
  transposeWords(block);
  for (int i = 0; i < 16; i++) store(to + i * toRow, (Floats)block[i]);
#else
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 16; k++) to[k * toRow + i] = from[i * fromRow + k];
#endif
}

// Of a matrix [rows, columns], both whole sixteens.
inline void transposeMatrix(const float* from, int64_t rows, int64_t columns, float* to) {
  for (int64_t row = 0; row < rows; row += 16)
    for (int64_t column = 0; column < columns; column += 16)
      transposeBlock(from + row * columns + column, columns, to + column * rows + row, rows);
}

} // namespace patchwise
