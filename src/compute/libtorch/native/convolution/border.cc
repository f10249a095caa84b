#include "convolution/border.h"
#include <cstring>
#include "processor/simd.h"
#include "processor/tasks.h"

namespace patchwise {
namespace {

// The folded rows, each summed in floats.
template <typename T>
void foldAll(const Tensor& from, const Border& border, Tensor& to) {
  int64_t depth = to.size(1), height = to.size(2), width = to.size(3), channels = to.size(4), size = width * channels;
  at::parallel_for(0, to.size(0) * depth * height, 16, [&](int64_t start, int64_t end) {
    std::vector<const T*> rows;
    std::vector<float> sum(size);
    for (int64_t row = start; row < end; row++) {
      rowsOf<const T>(from.data_ptr<T>(), to.sizes(), border, row / (depth * height), row / height % depth,
                      row % height, rows);
      foldRow(rows, border, width, channels, sum.data());
      std::copy(sum.begin(), sum.end(), to.data_ptr<T>() + row * size);
    }
  });
}

// Adds the faces to the voxels beside them, axis by axis, in floats and in one order. torch's own gradient of a
// replicated border adds atomically on GPUs, in any order, and refuses 2^31 numbers and more. Returns the inside.
Tensor foldInPlace(const Tensor& gradient, const Border& border) {
  Tensor part = gradient;
  for (int axis = 0; axis < 3; axis++) {
    int64_t dim = 1 + axis, before = border.before[axis], after = border.after[axis];
    int64_t size = part.size(dim) - before - after, last = before + size - 1;
    auto sumInto = [&](int64_t at, int64_t start, int64_t length) {
      if (length > 1) part.narrow(dim, at, 1).copy_(part.narrow(dim, start, length).sum(dim, true, at::kFloat));
    };
    if (size == 1) {
      sumInto(before, 0, before + 1 + after);
    } else {
      sumInto(before, 0, before + 1);
      sumInto(last, last, after + 1);
    }
    part = part.narrow(dim, before, size);
  }
  return part;
}

} // namespace

void spreadBorder(Tensor& bordered, const Border& border) {
  for (int axis = 0; axis < 3; axis++) {
    int64_t dim = 1 + axis, before = border.before[axis], after = border.after[axis];
    // The axes before this one are complete by now; of those after it only the inside is.
    Tensor part = bordered;
    for (int64_t later = dim + 1; later < 4; later++) {
      int64_t cut = border.before[later - 1];
      part = part.narrow(later, cut, part.size(later) - cut - border.after[later - 1]);
    }
    int64_t size = part.size(dim) - before - after;
    if (before > 0) part.narrow(dim, 0, before).copy_(part.narrow(dim, before, 1));
    if (after > 0) part.narrow(dim, before + size, after).copy_(part.narrow(dim, before + size - 1, 1));
  }
}

Tensor addBorder(const Tensor& x, const Border& border) {
  if (border.empty()) return x;
  Tensor from = x.contiguous();
  Tensor to = at::empty(border.around(x.sizes()), x.options());
  if (!takesOwnLoops(x)) {
    insideOf(to, border).copy_(from);
    spreadBorder(to, border);
    return to;
  }
  int64_t depth = x.size(1), height = x.size(2), width = x.size(3);
  int64_t fullDepth = to.size(1), fullHeight = to.size(2), fullWidth = to.size(3);
  int64_t left = border.before[2], right = border.after[2];
  const char* source = (const char*)from.data_ptr();
  char* target = (char*)to.data_ptr();
  size_t voxel = x.size(4) * x.element_size();
  eachIndex(x.size(0) * fullDepth * fullHeight, 16, [&](int64_t row) {
    int64_t n = row / (fullDepth * fullHeight);
    int64_t z = std::clamp<int64_t>(row / fullHeight % fullDepth - border.before[0], 0, depth - 1);
    int64_t y = std::clamp<int64_t>(row % fullHeight - border.before[1], 0, height - 1);
    const char* in = source + ((n * depth + z) * height + y) * width * voxel;
    char* out = target + row * fullWidth * voxel;
    std::memcpy(out + left * voxel, in, width * voxel);
    for (int64_t i = 0; i < left; i++) std::memcpy(out + i * voxel, in, voxel);
    for (int64_t i = 0; i < right; i++) std::memcpy(out + (left + width + i) * voxel, in + (width - 1) * voxel, voxel);
  });
  return to;
}

Tensor foldBorder(const Tensor& gradient, const Border& border) {
  if (border.empty()) return gradient;
  if (!takesOwnLoops(gradient)) return foldInPlace(gradient, border).contiguous();
  Tensor from = gradient.contiguous();
  Tensor to = at::empty(border.around(gradient.sizes(), -1), gradient.options());
  withType(gradient, [&](auto stored) { foldAll<decltype(stored)>(from, border, to); });
  return to;
}

const Tensor& insideValueOf(Slot& slot) {
  if (!slot.value.defined()) {
    slot.value = foldInPlace(slot.gradient, slot.border);
    slot.gradient = Tensor();
  }
  return slot.value;
}

Tensor insideOf(const Tensor& bordered, const Border& border) {
  Tensor inside = bordered;
  for (int axis = 0; axis < 3; axis++)
    inside = inside.narrow(1 + axis, border.before[axis],
                           inside.size(1 + axis) - border.before[axis] - border.after[axis]);
  return inside;
}

Tensor borderedOf(Slot& slot, const Border& border) {
  if (slot.bordered.defined() && slot.border == border) return slot.bordered;
  return addBorder(valueOf(slot), border).contiguous();
}

} // namespace patchwise
