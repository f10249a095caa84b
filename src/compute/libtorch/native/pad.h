// Borders of volumes [n, d, h, w, c] by replication, and the gradient, which folds them inwards again.
#pragma once
#include "table.h"

namespace patchwise {

// A new tensor with the border; x itself where the border is empty.
Tensor addBorder(const Tensor& x, const Border& border);
// The sums of what was replicated from each voxel.
Tensor foldBorder(const Tensor& gradient, const Border& border);
// The view of the inside.
Tensor insideOf(const Tensor& bordered, const Border& border);
// x with this border, without a copy where the slot has one already.
Tensor borderedOf(Slot& slot, const Border& border);

// Positions along an axis of the bordered volume that are copies of position `at` of the volume: [first, last].
struct Copies {
  int64_t first;
  int64_t last;
};
inline Copies copiesOf(int64_t at, int64_t size, int64_t before, int64_t after) {
  return {at == 0 ? 0 : at + before, at == size - 1 ? size - 1 + before + after : at + before};
}

// One row [w, c] of the volume from the rows of the bordered volume that are copies of it.
void foldRow(const std::vector<const float*>& rows, int64_t before, int64_t after, int64_t width, int64_t channels,
             float* out);
// The rows of the bordered volume that are copies of row (n, z, y).
void rowsOf(const float* bordered, const at::IntArrayRef& volume, const Border& border, int64_t n, int64_t z, int64_t y,
            std::vector<const float*>& rows);

} // namespace patchwise
