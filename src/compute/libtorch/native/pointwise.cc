// Elementwise kernels, under the names tfjs has for them.
#include "table.h"

namespace patchwise {
namespace {

using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);
using WithNumber = Tensor (*)(const Tensor&, const at::Scalar&);

const std::pair<const char*, Unary> unary[] = {
    {"Abs", [](const Tensor& x) { return x.abs(); }},
    {"Ceil", [](const Tensor& x) { return x.ceil(); }},
    {"Cos", [](const Tensor& x) { return x.cos(); }},
    {"Elu", [](const Tensor& x) { return at::elu(x); }},
    {"Erf", [](const Tensor& x) { return x.erf(); }},
    {"Exp", [](const Tensor& x) { return x.exp(); }},
    {"Expm1", [](const Tensor& x) { return x.expm1(); }},
    {"Floor", [](const Tensor& x) { return x.floor(); }},
    {"IsFinite", [](const Tensor& x) { return x.isfinite(); }},
    {"IsNan", [](const Tensor& x) { return x.isnan(); }},
    {"Log", [](const Tensor& x) { return x.log(); }},
    {"Log1p", [](const Tensor& x) { return x.log1p(); }},
    {"LogicalNot", [](const Tensor& x) { return x.logical_not(); }},
    {"Neg", [](const Tensor& x) { return x.neg(); }},
    {"OnesLike", [](const Tensor& x) { return at::ones_like(x); }},
    {"Reciprocal", [](const Tensor& x) { return x.reciprocal(); }},
    {"Relu", [](const Tensor& x) { return x.relu(); }},
    {"Round", [](const Tensor& x) { return x.round(); }},
    {"Rsqrt", [](const Tensor& x) { return x.rsqrt(); }},
    {"Sigmoid", [](const Tensor& x) { return x.sigmoid(); }},
    {"Sign", [](const Tensor& x) { return x.sign(); }},
    {"Sin", [](const Tensor& x) { return x.sin(); }},
    {"Softplus", [](const Tensor& x) { return at::softplus(x); }},
    {"Sqrt", [](const Tensor& x) { return x.sqrt(); }},
    {"Square", [](const Tensor& x) { return x * x; }},
    {"Tan", [](const Tensor& x) { return x.tan(); }},
    {"Tanh", [](const Tensor& x) { return x.tanh(); }},
    {"ZerosLike", [](const Tensor& x) { return at::zeros_like(x); }},
};

const std::pair<const char*, Binary> binary[] = {
    {"Add", [](const Tensor& a, const Tensor& b) { return at::add(a, b); }},
    {"Equal", [](const Tensor& a, const Tensor& b) { return a.eq(b); }},
    {"FloorDiv", [](const Tensor& a, const Tensor& b) { return at::div(a, b, "floor"); }},
    {"Greater", [](const Tensor& a, const Tensor& b) { return a.gt(b); }},
    {"GreaterEqual", [](const Tensor& a, const Tensor& b) { return a.ge(b); }},
    {"Less", [](const Tensor& a, const Tensor& b) { return a.lt(b); }},
    {"LessEqual", [](const Tensor& a, const Tensor& b) { return a.le(b); }},
    {"LogicalAnd", [](const Tensor& a, const Tensor& b) { return a.logical_and(b); }},
    {"LogicalOr", [](const Tensor& a, const Tensor& b) { return a.logical_or(b); }},
    {"Maximum", [](const Tensor& a, const Tensor& b) { return at::maximum(a, b); }},
    {"Minimum", [](const Tensor& a, const Tensor& b) { return at::minimum(a, b); }},
    {"Mod", [](const Tensor& a, const Tensor& b) { return a.remainder(b); }},
    {"Multiply", [](const Tensor& a, const Tensor& b) { return at::mul(a, b); }},
    {"NotEqual", [](const Tensor& a, const Tensor& b) { return a.ne(b); }},
    {"Pow", [](const Tensor& a, const Tensor& b) { return a.pow(b); }},
    {"RealDiv", [](const Tensor& a, const Tensor& b) { return at::div(a, b); }},
    {"SquaredDifference", [](const Tensor& a, const Tensor& b) { Tensor d = a - b; return d.mul_(d); }},
    {"Sub", [](const Tensor& a, const Tensor& b) { return at::sub(a, b); }},
};

// A second operand that is a number, which tfjs makes many of, needs no tensor.
const std::pair<const char*, WithNumber> withNumber[] = {
    {"Add", [](const Tensor& a, const at::Scalar& b) { return at::add(a, b); }},
    {"Greater", [](const Tensor& a, const at::Scalar& b) { return a.gt(b); }},
    {"GreaterEqual", [](const Tensor& a, const at::Scalar& b) { return a.ge(b); }},
    {"Less", [](const Tensor& a, const at::Scalar& b) { return a.lt(b); }},
    {"LessEqual", [](const Tensor& a, const at::Scalar& b) { return a.le(b); }},
    {"Multiply", [](const Tensor& a, const at::Scalar& b) { return at::mul(a, b); }},
    {"RealDiv", [](const Tensor& a, const at::Scalar& b) { return at::div(a, b); }},
    {"Sub", [](const Tensor& a, const at::Scalar& b) { return at::sub(a, b); }},
};

} // namespace

void addPointwise(Exports& exports) {
  for (auto [name, compute] : unary)
    exports.push_back({"unary", name, [compute = compute](Call& call) { call.result(compute(call.tensor(0))); }});
  for (auto [name, compute] : binary)
    exports.push_back({"binary", name, [compute = compute](Call& call) {
      call.result(compute(call.tensor(0), call.tensor(1)));
    }});
  for (auto [name, compute] : withNumber)
    exports.push_back({"withNumber", name, [compute = compute](Call& call) {
      Tensor a = call.tensor(0);
      double b = call.number(1);
      bool whole = a.scalar_type() == at::kInt;
      call.result(compute(a, whole ? at::Scalar((int64_t)b) : at::Scalar(b)));
    }});
  exports.push_back({"", "leakyRelu", [](Call& call) { call.result(at::leaky_relu(call.tensor(0), call.number(1))); }});
  exports.push_back({"", "step", [](Call& call) {
    Tensor x = call.tensor(0);
    call.result(at::where(x.isnan(), x, at::where(x.gt(0), at::ones_like(x), at::full_like(x, call.number(1)))));
  }});
  exports.push_back({"", "clip", [](Call& call) {
    Tensor x = call.tensor(0);
    call.result(x.clamp(call.number(1), call.number(2)).to(x.scalar_type()));
  }});
  exports.push_back({"", "select", [](Call& call) {
    Tensor condition = call.tensor(0), yes = call.tensor(1);
    // tfjs lets a vector choose whole rows.
    if (condition.dim() == 1 && yes.dim() > 1) {
      Sizes shape(yes.dim(), 1);
      shape[0] = condition.size(0);
      condition = condition.reshape(shape);
    }
    call.result(at::where(condition.to(at::kBool), yes, call.tensor(2)));
  }});
  exports.push_back({"", "cast", [](Call& call) {
    Tensor x = call.tensor(0);
    at::ScalarType type = call.dtype(1);
    call.result(type == at::kBool ? x.ne(0) : x.to(type, false, true));
  }});
  exports.push_back({"", "fill", [](Call& call) {
    call.result(at::full(call.sizes(0), call.number(1), call.floats().dtype(call.dtype(2))));
  }});
}

} // namespace patchwise
