// Reductions over axes, and matrix products.
#include "binding/call.h"

namespace patchwise {
namespace {

Tensor sum(Tensor x, Sizes axes, bool keep) {
  at::ScalarType stored = x.scalar_type();
  at::ScalarType type = stored == at::kBool ? at::kInt : stored == at::kBFloat16 ? at::kFloat : stored;
  return axes.empty() ? x.to(type) : x.sum(axes, keep, type);
}

Tensor mean(Tensor x, Sizes axes, bool keep) {
  Tensor floats = x.to(at::kFloat);
  return axes.empty() ? floats : floats.mean(axes, keep);
}

// A reduction that torch does not have over several axes at once.
template <typename Reduce>
Export oneByOne(const char* name, Reduce reduce) {
  return {name, [reduce](Tensor x, Sizes axes, bool keep) {
    std::sort(axes.rbegin(), axes.rend());
    for (int64_t axis : axes) x = reduce(x, axis, keep);
    return x;
  }};
}

const Exports reductions{"reduce", {
  oneByOne("All", [](Tensor x, int64_t axis, bool keep) { return x.all(axis, keep); }),
  oneByOne("Any", [](Tensor x, int64_t axis, bool keep) { return x.any(axis, keep); }),
  {"ArgMax", [](Tensor x, Sizes axes, bool keep) { return x.argmax(axes.at(0), keep).to(at::kInt); }},
  {"ArgMin", [](Tensor x, Sizes axes, bool keep) { return x.argmin(axes.at(0), keep).to(at::kInt); }},
  {"Max", [](Tensor x, Sizes axes, bool keep) { return axes.empty() ? x : x.amax(axes, keep); }},
  {"Mean", mean},
  {"Min", [](Tensor x, Sizes axes, bool keep) { return axes.empty() ? x : x.amin(axes, keep); }},
  oneByOne("Prod", [](Tensor x, int64_t axis, bool keep) {
    return x.prod(axis, keep, x.scalar_type() == at::kBool ? at::kInt : x.scalar_type());
  }),
  {"Sum", sum},
}};

Tensor matMul(Tensor a, Tensor b, bool transposeA, bool transposeB) {
  // The product of whole numbers is whole. cuBLAS multiplies none, and doubles hold them all.
  bool whole = !a.is_floating_point() && !b.is_floating_point();
  a = a.to(whole ? at::kDouble : at::kFloat), b = b.to(whole ? at::kDouble : at::kFloat);
  if (transposeA) a = a.transpose(-1, -2);
  if (transposeB) b = b.transpose(-1, -2);
  Tensor product = at::matmul(a, b);
  return whole ? product.to(at::kInt) : product;
}

const Exports products{"kernels", {{"matMul", matMul}}};

} // namespace
} // namespace patchwise
