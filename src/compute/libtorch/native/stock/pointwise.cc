// Elementwise kernels, under tfjs's names.
#include "binding/call.h"

namespace patchwise {
namespace {

const Exports unary{"unary", {
  {"Abs", [](Tensor x) { return x.abs(); }},
  {"Ceil", [](Tensor x) { return x.ceil(); }},
  {"Cos", [](Tensor x) { return x.cos(); }},
  {"Elu", [](Tensor x) { return at::elu(x); }},
  {"Erf", [](Tensor x) { return x.erf(); }},
  {"Exp", [](Tensor x) { return x.exp(); }},
  {"Expm1", [](Tensor x) { return x.expm1(); }},
  {"Floor", [](Tensor x) { return x.floor(); }},
  {"IsFinite", [](Tensor x) { return x.isfinite(); }},
  {"IsNan", [](Tensor x) { return x.isnan(); }},
  {"Log", [](Tensor x) { return x.log(); }},
  {"Log1p", [](Tensor x) { return x.log1p(); }},
  {"LogicalNot", [](Tensor x) { return x.logical_not(); }},
  {"Neg", [](Tensor x) { return x.neg(); }},
  {"OnesLike", [](Tensor x) { return at::ones_like(x); }},
  {"Reciprocal", [](Tensor x) { return x.reciprocal(); }},
  {"Relu", [](Tensor x) { return x.relu(); }},
  {"Round", [](Tensor x) { return x.round(); }},
  {"Rsqrt", [](Tensor x) { return x.rsqrt(); }},
  {"Sigmoid", [](Tensor x) { return x.sigmoid(); }},
  {"Sign", [](Tensor x) { return x.sign(); }},
  {"Sin", [](Tensor x) { return x.sin(); }},
  {"Softplus", [](Tensor x) { return at::softplus(x); }},
  {"Sqrt", [](Tensor x) { return x.sqrt(); }},
  {"Square", [](Tensor x) { return x * x; }},
  {"Tan", [](Tensor x) { return x.tan(); }},
  {"Tanh", [](Tensor x) { return x.tanh(); }},
  {"ZerosLike", [](Tensor x) { return at::zeros_like(x); }},
}};

const Exports binary{"binary", {
  {"Add", [](Tensor a, Tensor b) { return at::add(a, b); }},
  {"Equal", [](Tensor a, Tensor b) { return a.eq(b); }},
  {"FloorDiv", [](Tensor a, Tensor b) { return at::div(a, b, "floor"); }},
  {"Greater", [](Tensor a, Tensor b) { return a.gt(b); }},
  {"GreaterEqual", [](Tensor a, Tensor b) { return a.ge(b); }},
  {"Less", [](Tensor a, Tensor b) { return a.lt(b); }},
  {"LessEqual", [](Tensor a, Tensor b) { return a.le(b); }},
  {"LogicalAnd", [](Tensor a, Tensor b) { return a.logical_and(b); }},
  {"LogicalOr", [](Tensor a, Tensor b) { return a.logical_or(b); }},
  {"Maximum", [](Tensor a, Tensor b) { return at::maximum(a, b); }},
  {"Minimum", [](Tensor a, Tensor b) { return at::minimum(a, b); }},
  {"Mod", [](Tensor a, Tensor b) { return a.remainder(b); }},
  {"Multiply", [](Tensor a, Tensor b) { return at::mul(a, b); }},
  {"NotEqual", [](Tensor a, Tensor b) { return a.ne(b); }},
  {"Pow", [](Tensor a, Tensor b) { return a.pow(b); }},
  {"RealDiv", [](Tensor a, Tensor b) { return at::div(a, b); }},
  {"SquaredDifference", [](Tensor a, Tensor b) { Tensor d = a - b; return d.mul_(d); }},
  {"Sub", [](Tensor a, Tensor b) { return at::sub(a, b); }},
}};

// A second operand that is a number, as tfjs makes many, needs no tensor.
template <typename Compute>
Export withNumber(const char* name, Compute compute) {
  return {name, [compute](Tensor a, double b) {
    return compute(a, a.scalar_type() == at::kInt ? at::Scalar((int64_t)b) : at::Scalar(b));
  }};
}

const Exports withNumbers{"withNumber", {
  withNumber("Add", [](Tensor a, at::Scalar b) { return at::add(a, b); }),
  withNumber("Greater", [](Tensor a, at::Scalar b) { return a.gt(b); }),
  withNumber("GreaterEqual", [](Tensor a, at::Scalar b) { return a.ge(b); }),
  withNumber("Less", [](Tensor a, at::Scalar b) { return a.lt(b); }),
  withNumber("LessEqual", [](Tensor a, at::Scalar b) { return a.le(b); }),
  withNumber("Multiply", [](Tensor a, at::Scalar b) { return at::mul(a, b); }),
  withNumber("RealDiv", [](Tensor a, at::Scalar b) { return at::div(a, b); }),
  withNumber("Sub", [](Tensor a, at::Scalar b) { return at::sub(a, b); }),
}};

Tensor step(Tensor x, double alpha) {
  return at::where(x.isnan(), x, at::where(x.gt(0), at::ones_like(x), at::full_like(x, alpha)));
}

Tensor select(Tensor condition, Tensor yes, Tensor no) {
  // In tfjs a vector may choose whole rows.
  if (condition.dim() == 1 && yes.dim() > 1) {
    Sizes shape(yes.dim(), 1);
    shape[0] = condition.size(0);
    condition = condition.reshape(shape);
  }
  return at::where(condition.to(at::kBool), yes, no);
}

Tensor cast(Tensor x, at::ScalarType type) { return type == at::kBool ? x.ne(0) : x.to(type, false, true); }

const Exports pointwise{"kernels", {
  {"leakyRelu", [](Tensor x, double alpha) { return at::leaky_relu(x, alpha); }},
  {"step", step},
  {"clip", [](Tensor x, double low, double high) { return x.clamp(low, high).to(x.scalar_type()); }},
  {"select", select},
  {"cast", cast},
  {"fill", [](Environment& environment, Sizes shape, double value, at::ScalarType type) {
     return at::full(shape, value, environment.floats().dtype(type));
   }},
}};

} // namespace
} // namespace patchwise
