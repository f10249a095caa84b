// Kernels that move elements and compute nothing. They return views if torch has them: nothing is written twice.
#include "binding/call.h"

namespace patchwise {
namespace {

Tensor slice(Tensor x, Sizes begin, Sizes size) {
  TORCH_CHECK((int64_t)begin.size() == x.dim() && begin.size() == size.size(), "slice: a begin and size per axis");
  int64_t whole = x.numel();
  for (size_t axis = 0; axis < begin.size(); axis++) x = x.narrow(axis, begin[axis], size[axis]);
  // A copy, because a small view would keep the memory of a large tensor after that was disposed.
  return x.numel() < whole ? x.clone(at::MemoryFormat::Contiguous) : x;
}

// tfjs has already clipped the arguments to the shape.
Tensor stridedSlice(Tensor x, Sizes begin, Sizes end, Sizes stride) {
  for (size_t axis = 0; axis < begin.size(); axis++) {
    if (stride[axis] > 0) {
      x = x.slice(axis, begin[axis], std::max(begin[axis], end[axis]), stride[axis]);
    } else {
      int64_t stop = std::min(begin[axis], end[axis]);
      x = x.index_select(axis, at::arange(begin[axis], stop, stride[axis], x.options().dtype(at::kLong)));
    }
  }
  return x;
}

Tensor gather(Tensor x, Tensor indices, int64_t axis) {
  // A GPU finds a wrong index too late, and no call works after that.
  if (!takesOwnLoops(x) && indices.numel() > 0) {
    auto [least, most] = at::aminmax(indices);
    int64_t low = least.item<int64_t>(), high = most.item<int64_t>();
    TORCH_CHECK_INDEX(low >= 0 && high < x.size(axis), "gather: index ", low < 0 ? low : high,
                      " is out of range in an axis of ", x.size(axis));
  }
  Sizes shape = x.sizes().vec();
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, indices.sizes().begin(), indices.sizes().end());
  return x.index_select(axis, indices.reshape(-1).to(at::kLong)).reshape(shape);
}

Tensor oneHot(Environment& environment, Tensor codes, int64_t depth, double on, double off, at::ScalarType type) {
  Tensor indices = codes.to(at::kLong).unsqueeze(-1);
  Sizes shape = indices.sizes().vec();
  shape.back() = depth + 1; // the last place takes codes outside of the depth, and is cut off
  Tensor outside = indices.lt(0).logical_or(indices.ge(depth));
  Tensor all = at::full(shape, off, environment.floats().dtype(type));
  return all.scatter(-1, indices.masked_fill(outside, depth), on).narrow(-1, 0, depth);
}

const Exports shapes{"kernels", {
  {"reshape", [](Tensor x, Sizes shape) { return x.reshape(shape); }},
  {"transpose", [](Tensor x, Sizes axes) { return x.permute(axes); }},
  {"concat", [](std::vector<Tensor> tensors, int64_t axis) { return at::cat(tensors, axis); }},
  {"stack", [](std::vector<Tensor> tensors, int64_t axis) { return at::stack(tensors, axis); }},
  {"tile", [](Tensor x, Sizes repeats) { return x.repeat(repeats); }},
  {"expand", [](Tensor x, Sizes shape) { return x.expand(shape).contiguous(); }},
  {"reverse", [](Tensor x, Sizes axes) { return x.flip(axes); }},
  {"pad", [](Tensor x, Sizes pads, double value) { return at::constant_pad_nd(x, pads, value); }},
  {"slice", slice},
  {"stridedSlice", stridedSlice},
  {"gather", gather},
  {"oneHot", oneHot},
}};

} // namespace
} // namespace patchwise
