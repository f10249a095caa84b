// Borders of volumes [n, d, h, w, c] by replication, and their gradient, which folds the border inwards again.
#pragma once
#include "binding/table.h"

namespace patchwise {

// A new tensor with the border; x itself if the border is empty.
Tensor addBorder(const Tensor& x, const Border& border);
// The sums of what was replicated from each voxel. May write into the gradient, which nobody reads after that.
Tensor foldBorder(const Tensor& gradient, const Border& border);
// The value of a slot, without a copy of a gradient that is folded for it: a view of its inside.
const Tensor& insideValueOf(Slot& slot);
// Fills the border of `bordered` from its inside, in place.
void spreadBorder(Tensor& bordered, const Border& border);
// The view of the inside.
Tensor insideOf(const Tensor& bordered, const Border& border);
// x with this border, without a copy if the slot has one already.
Tensor borderedOf(Slot& slot, const Border& border);

// Positions along an axis of the bordered volume that are copies of position `at` of the volume: [first, last].
struct Copies {
  int64_t first;
  int64_t last;
};
inline Copies copiesOf(int64_t at, int64_t size, int64_t before, int64_t after) {
  return {at == 0 ? 0 : at + before, at == size - 1 ? size - 1 + before + after : at + before};
}

// One row [w, c] of the volume, in floats, from the rows of the bordered volume that are copies of it.
template <typename T>
void foldRow(const std::vector<const T*>& rows, const Border& border, int64_t width, int64_t channels, float* out) {
  int64_t before = border.before[2], after = border.after[2];
  const T* first = rows[0] + before * channels;
  for (int64_t i = 0; i < width * channels; i++) out[i] = (float)first[i];
  for (size_t r = 0; r < rows.size(); r++) {
    const T* row = rows[r];
    if (r > 0)
      for (int64_t i = 0; i < width * channels; i++) out[i] += (float)row[before * channels + i];
    float* last = out + (width - 1) * channels;
    for (int64_t i = 0; i < before * channels; i++) out[i % channels] += (float)row[i];
    for (int64_t i = 0; i < after * channels; i++) last[i % channels] += (float)row[(before + width) * channels + i];
  }
}

// The rows of the bordered volume that are copies of row (n, z, y).
template <typename T>
void rowsOf(T* bordered, const at::IntArrayRef& volume, const Border& border, int64_t n, int64_t z, int64_t y,
            std::vector<T*>& rows) {
  int64_t fullDepth = volume[1] + border.before[0] + border.after[0];
  int64_t fullHeight = volume[2] + border.before[1] + border.after[1];
  int64_t row = (volume[3] + border.before[2] + border.after[2]) * volume[4];
  Copies inDepth = copiesOf(z, volume[1], border.before[0], border.after[0]);
  Copies inHeight = copiesOf(y, volume[2], border.before[1], border.after[1]);
  rows.clear();
  for (int64_t i = inDepth.first; i <= inDepth.last; i++)
    for (int64_t j = inHeight.first; j <= inHeight.last; j++)
      rows.push_back(bordered + ((n * fullDepth + i) * fullHeight + j) * row);
}

} // namespace patchwise
