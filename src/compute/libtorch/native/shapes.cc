// Kernels that move elements and compute nothing. Views are returned where torch has them: nothing is written twice.
#include "table.h"

namespace patchwise {
namespace {

void slice(Call& call) {
  Tensor x = call.tensor(0);
  Sizes begin = call.sizes(1), size = call.sizes(2);
  TORCH_CHECK((int64_t)begin.size() == x.dim() && begin.size() == size.size(), "slice: a begin and size per axis");
  int64_t whole = x.numel();
  for (size_t axis = 0; axis < begin.size(); axis++) x = x.narrow(axis, begin[axis], size[axis]);
  // A copy, because a small view would keep the memory of a large tensor after that was disposed.
  call.result(x.numel() < whole ? x.clone(at::MemoryFormat::Contiguous) : x);
}

// (x, begin, end, strides), already clipped to the shape by tfjs.
void stridedSlice(Call& call) {
  Tensor x = call.tensor(0);
  Sizes begin = call.sizes(1), end = call.sizes(2), stride = call.sizes(3);
  for (size_t axis = 0; axis < begin.size(); axis++) {
    if (stride[axis] > 0) {
      x = x.slice(axis, begin[axis], std::max(begin[axis], end[axis]), stride[axis]);
    } else {
      int64_t stop = std::min(begin[axis], end[axis]);
      x = x.index_select(axis, at::arange(begin[axis], stop, stride[axis], x.options().dtype(at::kLong)));
    }
  }
  call.result(x);
}

void gather(Call& call) {
  Tensor x = call.tensor(0), indices = call.tensor(1);
  int64_t axis = call.integer(2);
  // A GPU finds a wrong index when it is too late, and no call works after that.
  if (!onCpu(x) && indices.numel() > 0) {
    auto [least, most] = at::aminmax(indices);
    int64_t low = least.item<int64_t>(), high = most.item<int64_t>();
    TORCH_CHECK_INDEX(low >= 0 && high < x.size(axis), "gather: index ", low < 0 ? low : high,
                      " is out of range in an axis of ", x.size(axis));
  }
  Sizes shape = x.sizes().vec();
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, indices.sizes().begin(), indices.sizes().end());
  call.result(x.index_select(axis, indices.reshape(-1).to(at::kLong)).reshape(shape));
}

// (indices, depth, on, off, type): codes outside of the depth have no place.
void oneHot(Call& call) {
  Tensor indices = call.tensor(0).to(at::kLong).unsqueeze(-1);
  int64_t depth = call.integer(1);
  Sizes shape = indices.sizes().vec();
  shape.back() = depth + 1; // the last place takes what is outside
  Tensor outside = indices.lt(0).logical_or(indices.ge(depth));
  Tensor all = at::full(shape, call.number(3), call.floats().dtype(call.dtype(4)));
  call.result(all.scatter(-1, indices.masked_fill(outside, depth), call.number(2)).narrow(-1, 0, depth));
}

} // namespace

void addShapes(Exports& exports) {
  exports.push_back({"", "reshape", [](Call& call) { call.result(call.tensor(0).reshape(call.sizes(1))); }});
  exports.push_back({"", "transpose", [](Call& call) { call.result(call.tensor(0).permute(call.sizes(1))); }});
  exports.push_back({"", "concat", [](Call& call) { call.result(at::cat(call.tensors(0), call.integer(1))); }});
  exports.push_back({"", "stack", [](Call& call) { call.result(at::stack(call.tensors(0), call.integer(1))); }});
  exports.push_back({"", "tile", [](Call& call) { call.result(call.tensor(0).repeat(call.sizes(1))); }});
  exports.push_back({"", "expand", [](Call& call) { call.result(call.tensor(0).expand(call.sizes(1)).contiguous()); }});
  exports.push_back({"", "reverse", [](Call& call) { call.result(call.tensor(0).flip(call.sizes(1))); }});
  exports.push_back({"", "pad", [](Call& call) {
    call.result(at::constant_pad_nd(call.tensor(0), call.sizes(1), call.number(2)));
  }});
  exports.push_back({"", "slice", slice});
  exports.push_back({"", "stridedSlice", stridedSlice});
  exports.push_back({"", "gather", gather});
  exports.push_back({"", "oneHot", oneHot});
}

} // namespace patchwise
