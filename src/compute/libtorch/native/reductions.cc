// Reductions over axes, and matrix products.
#include "table.h"

namespace patchwise {
namespace {

using Reduction = Tensor (*)(const Tensor& x, const Sizes& axes, bool keep);

Tensor sum(const Tensor& x, const Sizes& axes, bool keep) {
  at::ScalarType stored = x.scalar_type();
  at::ScalarType type = stored == at::kBool ? at::kInt : stored == at::kBFloat16 ? at::kFloat : stored;
  return axes.empty() ? x.to(type) : x.sum(axes, keep, type);
}

// torch has no reduction of these over several axes at once.
template <typename One>
Tensor oneByOne(const Tensor& x, Sizes axes, bool keep, One reduce) {
  std::sort(axes.rbegin(), axes.rend());
  Tensor y = x;
  for (int64_t axis : axes) y = reduce(y, axis, keep);
  return y;
}

const std::pair<const char*, Reduction> reductions[] = {
    {"All", [](const Tensor& x, const Sizes& axes, bool keep) {
       return oneByOne(x, axes, keep, [](const Tensor& y, int64_t axis, bool kept) { return y.all(axis, kept); });
     }},
    {"Any", [](const Tensor& x, const Sizes& axes, bool keep) {
       return oneByOne(x, axes, keep, [](const Tensor& y, int64_t axis, bool kept) { return y.any(axis, kept); });
     }},
    {"ArgMax", [](const Tensor& x, const Sizes& axes, bool keep) { return x.argmax(axes.at(0), keep).to(at::kInt); }},
    {"ArgMin", [](const Tensor& x, const Sizes& axes, bool keep) { return x.argmin(axes.at(0), keep).to(at::kInt); }},
    {"Max", [](const Tensor& x, const Sizes& axes, bool keep) { return axes.empty() ? x : x.amax(axes, keep); }},
    {"Mean", [](const Tensor& x, const Sizes& axes, bool keep) {
       Tensor floats = x.to(at::kFloat);
       return axes.empty() ? floats : floats.mean(axes, keep);
     }},
    {"Min", [](const Tensor& x, const Sizes& axes, bool keep) { return axes.empty() ? x : x.amin(axes, keep); }},
    {"Prod", [](const Tensor& x, const Sizes& axes, bool keep) {
       return oneByOne(x, axes, keep, [](const Tensor& y, int64_t axis, bool kept) {
         return y.prod(axis, kept, y.scalar_type() == at::kBool ? at::kInt : y.scalar_type());
       });
     }},
    {"Sum", sum},
};

} // namespace

void addReductions(Exports& exports) {
  for (auto [name, reduce] : reductions)
    exports.push_back({"reduce", name, [reduce = reduce](Call& call) {
      call.result(reduce(call.tensor(0), call.sizes(1), call.flag(2)));
    }});
  exports.push_back({"", "matMul", [](Call& call) {
    Tensor a = call.tensor(0), b = call.tensor(1);
    // Of whole numbers it is one; cuBLAS multiplies none, and doubles hold them all.
    bool whole = !a.is_floating_point() && !b.is_floating_point();
    a = a.to(whole ? at::kDouble : at::kFloat), b = b.to(whole ? at::kDouble : at::kFloat);
    if (call.flag(2)) a = a.transpose(-1, -2);
    if (call.flag(3)) b = b.transpose(-1, -2);
    Tensor product = at::matmul(a, b);
    call.result(whole ? product.to(at::kInt) : product);
  }});
}

} // namespace patchwise
