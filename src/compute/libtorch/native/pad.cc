#include "pad.h"
#include <ATen/Parallel.h>
#include <cstring>
#include "views.h"

namespace patchwise {
namespace {

Sizes grown(at::IntArrayRef shape, const Border& border, int64_t sign) {
  Sizes sizes = shape.vec();
  for (int axis = 0; axis < 3; axis++) sizes[1 + axis] += sign * (border.before[axis] + border.after[axis]);
  return sizes;
}

// torch wants the last axis first.
Sizes torchPads(const Border& border) {
  Sizes pads;
  for (int axis = 2; axis >= 0; axis--) {
    pads.push_back(border.before[axis]);
    pads.push_back(border.after[axis]);
  }
  return pads;
}

bool plainFloats(const Tensor& tensor) { return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat; }

} // namespace

Tensor addBorder(const Tensor& x, const Border& border) {
  if (border.empty()) return x;
  Tensor from = x.contiguous();
  if (!plainFloats(x)) return channelsLast(at::replication_pad3d(channelsFirst(from), torchPads(border))).contiguous();
  Tensor to = at::empty(grown(x.sizes(), border, 1), x.options());
  int64_t depth = x.size(1), height = x.size(2), width = x.size(3), channels = x.size(4);
  int64_t fullDepth = to.size(1), fullHeight = to.size(2), fullWidth = to.size(3);
  int64_t left = border.before[2], right = border.after[2];
  const float* source = from.data_ptr<float>();
  float* target = to.data_ptr<float>();
  at::parallel_for(0, x.size(0) * fullDepth * fullHeight, 16, [&](int64_t start, int64_t end) {
    for (int64_t row = start; row < end; row++) {
      int64_t n = row / (fullDepth * fullHeight);
      int64_t z = row / fullHeight % fullDepth - border.before[0];
      int64_t y = row % fullHeight - border.before[1];
      z = std::min(std::max<int64_t>(z, 0), depth - 1);
      y = std::min(std::max<int64_t>(y, 0), height - 1);
      const float* in = source + ((n * depth + z) * height + y) * width * channels;
      float* out = target + row * fullWidth * channels;
      std::memcpy(out + left * channels, in, width * channels * sizeof(float));
      for (int64_t i = 0; i < left; i++) std::memcpy(out + i * channels, in, channels * sizeof(float));
      for (int64_t i = 0; i < right; i++)
        std::memcpy(out + (left + width + i) * channels, in + (width - 1) * channels, channels * sizeof(float));
    }
  });
  return to;
}

void rowsOf(const float* bordered, const at::IntArrayRef& volume, const Border& border, int64_t n, int64_t z, int64_t y,
            std::vector<const float*>& rows) {
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

void foldRow(const std::vector<const float*>& rows, int64_t before, int64_t after, int64_t width, int64_t channels,
             float* out) {
  std::memcpy(out, rows[0] + before * channels, width * channels * sizeof(float));
  for (size_t r = 0; r < rows.size(); r++) {
    const float* row = rows[r];
    if (r > 0)
      for (int64_t i = 0; i < width * channels; i++) out[i] += row[before * channels + i];
    float* last = out + (width - 1) * channels;
    for (int64_t i = 0; i < before * channels; i++) out[i % channels] += row[i];
    for (int64_t i = 0; i < after * channels; i++) last[i % channels] += row[(before + width) * channels + i];
  }
}

Tensor foldBorder(const Tensor& gradient, const Border& border) {
  if (border.empty()) return gradient;
  Tensor from = gradient.contiguous();
  Sizes shape = grown(gradient.sizes(), border, -1);
  if (!plainFloats(gradient)) {
    Tensor like = at::empty(shape, gradient.options());
    return channelsLast(at::replication_pad3d_backward(channelsFirst(from), channelsFirst(like), torchPads(border)))
        .contiguous();
  }
  Tensor to = at::empty(shape, gradient.options());
  int64_t depth = shape[1], height = shape[2], width = shape[3], channels = shape[4];
  at::parallel_for(0, shape[0] * depth * height, 16, [&](int64_t start, int64_t end) {
    std::vector<const float*> rows;
    for (int64_t row = start; row < end; row++) {
      rowsOf(from.data_ptr<float>(), shape, border, row / (depth * height), row / height % depth, row % height, rows);
      foldRow(rows, border.before[2], border.after[2], width, channels, to.data_ptr<float>() + row * width * channels);
    }
  });
  return to;
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

void addPads(Exports& exports) {
  exports.push_back({"", "replicatePad", [](Call& call) {
    Border border{call.size3(1), call.size3(2)};
    call.result(addBorder(call.tensor(0), border));
  }});
  exports.push_back({"", "replicatePadGradient", [](Call& call) {
    Border border{call.size3(1), call.size3(2)};
    call.result(foldBorder(call.tensor(0), border));
  }});
}

} // namespace patchwise
