// GroupNorm + SiLU in one pass over memory, writing the border that the next convolution needs; and the gradient, which
// reads the bordered gradient of that convolution as it is. Statistics are float32 sums by row, double over rows.
#include <ATen/Parallel.h>
#include <torch/version.h>
#include <cmath>
#include "norm_rows.h"
#include "pad.h"
#include "table.h"
#include "views.h"

namespace patchwise {
namespace {

// Partial sums are taken over this many shares of a volume, however many threads there are: the same result on all.
constexpr int64_t kShares = 64;

// The variance of all values there are, not an estimate from a sample of them.
#if TORCH_VERSION_MAJOR >= 2
const c10::optional<at::Scalar> kPopulation = at::Scalar(0);
#else
const c10::optional<int64_t> kPopulation = (int64_t)0;
#endif

struct Shape {
  int64_t n, rows, width, channels, groups; // rows = d * h
  Row row;
  int64_t perGroup() const { return channels / groups; }
};

Shape shapeOf(const Tensor& x, int64_t groups) {
  TORCH_CHECK(x.dim() == 5 && groups > 0 && x.size(4) % groups == 0, "x [n, d, h, w, c], c divisible by ", groups);
  return {x.size(0), x.size(1) * x.size(2), x.size(3), x.size(4), groups, {x.size(3) * x.size(4), periodOf(x.size(4))}};
}

// Runs body(row, two accumulators [period]) over the rows of a sample and gives the sums by channel.
template <typename Body>
std::array<std::vector<double>, 2> sumRows(const Shape& s, Body body) {
  int64_t period = s.row.period;
  std::vector<double> parts(kShares * 2 * period, 0.0);
  at::parallel_for(0, kShares, 1, [&](int64_t from, int64_t to) {
    for (int64_t share = from; share < to; share++)
      body(s.rows * share / kShares, s.rows * (share + 1) / kShares, &parts[share * 2 * period],
           &parts[(share * 2 + 1) * period]);
  });
  std::array<std::vector<double>, 2> sums{std::vector<double>(s.channels, 0.0), std::vector<double>(s.channels, 0.0)};
  for (int64_t share = 0; share < kShares; share++)
    for (int which = 0; which < 2; which++)
      for (int64_t i = 0; i < period; i++) sums[which][i % s.channels] += parts[(share * 2 + which) * period + i];
  return sums;
}

template <typename X>
void statistics(const Shape& s, const X* x, double eps, float* mean, float* scale) {
  // Values are taken from the first voxel's, or the variance of a bright volume would drown in its mean.
  std::vector<float> first(x, x + s.channels);
  std::vector<float> shift = repeated(first);
  auto [sums, squares] = sumRows(s, [&](int64_t from, int64_t to, double* sum, double* square) {
    for (int64_t row = from; row < to; row++) rowSums(x + row * s.row.size, shift.data(), s.row, sum, square);
  });
  double voxels = (double)s.rows * s.width;
  for (int64_t group = 0; group < s.groups; group++) {
    double center = 0, variance = 0;
    int64_t start = group * s.perGroup(), end = start + s.perGroup();
    for (int64_t c = start; c < end; c++) center += (first[c] + sums[c] / voxels) / s.perGroup();
    for (int64_t c = start; c < end; c++) {
      double own = sums[c] / voxels, away = first[c] + own - center;
      variance += (squares[c] / voxels - own * own + away * away) / s.perGroup();
    }
    mean[group] = (float)center;
    scale[group] = (float)(1 / std::sqrt(variance + eps));
  }
}

struct Coefficients {
  std::vector<float> a, b, mean, scale;
};

Coefficients coefficientsOf(const Shape& s, const float* gamma, const float* beta, const float* mean,
                            const float* scale) {
  std::vector<float> a(s.channels), b(s.channels), m(s.channels), r(s.channels);
  for (int64_t c = 0; c < s.channels; c++) {
    m[c] = mean[c / s.perGroup()];
    r[c] = scale[c / s.perGroup()];
    a[c] = gamma[c] * r[c];
    b[c] = beta[c] - m[c] * a[c];
  }
  return {repeated(a), repeated(b), repeated(m), repeated(r)};
}

// Writes each row inside the border and copies it to where the border repeats it.
template <typename X, typename Y>
void apply(const Shape& s, const Tensor& x, const Coefficients& by, bool silu, int64_t n, const Border& border,
           Tensor& out) {
  int64_t depth = x.size(1), height = x.size(2), full = out.size(3) * s.channels, left = border.before[2];
  at::parallel_for(0, s.rows, 16, [&](int64_t from, int64_t to) {
    std::vector<Y*> copies;
    for (int64_t row = from; row < to; row++) {
      rowsOf(out.data_ptr<Y>(), x.sizes(), border, n, row / height, row % height, copies);
      Y* target = copies[0];
      Y* inside = target + left * s.channels;
      const X* source = x.data_ptr<X>() + (n * depth * height + row) * s.row.size;
      if (silu) rowApply<true>(source, by.a.data(), by.b.data(), s.row, inside);
      else rowApply<false>(source, by.a.data(), by.b.data(), s.row, inside);
      size_t voxel = s.channels * sizeof(Y);
      for (int64_t i = 0; i < left; i++) std::memcpy(target + i * s.channels, inside, voxel);
      for (int64_t i = 0; i < border.after[2]; i++)
        std::memcpy(inside + (s.width + i) * s.channels, inside + (s.width - 1) * s.channels, voxel);
      for (size_t i = 1; i < copies.size(); i++) std::memcpy(copies[i], target, full * sizeof(Y));
    }
  });
}

// Runs body with a value of the type that a tensor is stored in.
template <typename Body>
void withType(const Tensor& tensor, Body body) {
  if (tensor.scalar_type() == at::kBFloat16) body(BFloat16());
  else body(0.f);
}

// gamma * scale * (x - mean) + beta, with the border that the 3x3x3 convolution asks for that follows.
void normaliseBy(Call& call, const Shape& s, const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                 const Tensor& scale, bool silu) {
  Slot slot;
  slot.border = {{1, 1, 1}, {1, 1, 1}};
  slot.bordered = at::empty({s.n, x.size(1) + 2, x.size(2) + 2, x.size(3) + 2, s.channels},
                            x.options().dtype(call.environment.storage));
  withType(x, [&](auto in) {
    withType(slot.bordered, [&](auto out) {
      for (int64_t n = 0; n < s.n; n++) {
        const float *m = mean.data_ptr<float>() + n * s.groups, *r = scale.data_ptr<float>() + n * s.groups;
        Coefficients by = coefficientsOf(s, gamma.data_ptr<float>(), beta.data_ptr<float>(), m, r);
        apply<decltype(in), decltype(out)>(s, x, by, silu, n, slot.border, slot.bordered);
      }
    });
  });
  slot.value = insideOf(slot.bordered, slot.border);
  call.result(std::move(slot));
}

// x * factor + offset [n, 1, 1, 1, channels] of each channel: gamma * scale * (x - mean) + beta.
std::array<Tensor, 2> factorAndOffset(const Shape& s, const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                      const Tensor& scale) {
  Sizes byGroup{s.n, s.groups, 1}, byChannel{1, s.groups, s.perGroup()}, wide{s.n, 1, 1, 1, s.channels};
  Tensor factor = scale.reshape(byGroup) * gamma.reshape(byChannel);
  Tensor offset = beta.reshape(byChannel) - mean.reshape(byGroup) * factor;
  return {factor.reshape(wide), offset.reshape(wide)};
}

// The same without our loops.
void normaliseOnDevice(Call& call, const Shape& s, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                       const Tensor& mean, const Tensor& scale, bool silu) {
  auto [factor, offset] = factorAndOffset(s, gamma, beta, mean, scale);
  Tensor y = at::addcmul(offset, x, factor);
  if (silu) at::silu_(y);
  if (x.numel() == 0) return call.result(y.to(call.environment.storage));
  Slot slot;
  slot.border = {{1, 1, 1}, {1, 1, 1}};
  slot.bordered = at::empty({s.n, x.size(1) + 2, x.size(2) + 2, x.size(3) + 2, s.channels},
                            x.options().dtype(call.environment.storage));
  slot.value = insideOf(slot.bordered, slot.border);
  slot.value.copy_(y);
  spreadBorder(slot.bordered, slot.border);
  call.result(std::move(slot));
}

// (x, gamma, beta, groups, eps, silu) -> y, mean [n, groups], reciprocal standard deviation [n, groups]
void groupNorm(Call& call) {
  Tensor x = call.tensor(0).contiguous(), gamma = call.tensor(1).contiguous(), beta = call.tensor(2).contiguous();
  int64_t groups = call.integer(3);
  double eps = call.number(4);
  bool silu = call.flag(5);
  Shape s = shapeOf(x, groups);
  if (!call.environment.ownLoops || x.numel() == 0) {
    // In our order of memory. torch's own norm wants another order, and computes y in another way than `normalise`
    // does: the backward pass would see other values than the forward pass.
    Tensor byGroup = x.reshape({s.n, s.rows * s.width, groups, s.perGroup()}).to(at::kFloat);
    Sizes within{1, 3};
    auto [variance, mean] = at::var_mean(byGroup, at::OptionalIntArrayRef(at::IntArrayRef(within)), kPopulation, false);
    Tensor scale = variance.add(eps).rsqrt_();
    normaliseOnDevice(call, s, x, gamma, beta, mean, scale, silu);
    call.result(mean);
    call.result(scale);
    return;
  }
  Tensor mean = at::empty({s.n, groups}, call.floats()), scale = at::empty({s.n, groups}, call.floats());
  withType(x, [&](auto in) {
    for (int64_t n = 0; n < s.n; n++)
      statistics(s, x.data_ptr<decltype(in)>() + n * s.rows * s.row.size, eps, mean.data_ptr<float>() + n * groups,
                 scale.data_ptr<float>() + n * groups);
  });
  normaliseBy(call, s, x, gamma, beta, mean, scale, silu);
  call.result(mean);
  call.result(scale);
}

// (x, gamma, beta, mean, scale, groups, silu) -> y
void normalise(Call& call) {
  Tensor x = call.tensor(0).contiguous(), gamma = call.tensor(1).contiguous(), beta = call.tensor(2).contiguous();
  Tensor mean = call.tensor(3).contiguous(), scale = call.tensor(4).contiguous();
  Shape s = shapeOf(x, call.integer(5));
  bool silu = call.flag(6);
  if (call.environment.ownLoops && x.numel() > 0) return normaliseBy(call, s, x, gamma, beta, mean, scale, silu);
  normaliseOnDevice(call, s, x, gamma, beta, mean, scale, silu);
}

void groupNormGradientOnDevice(Call& call, const Shape& s) {
  at::ScalarType type = call.tensor(1).scalar_type();
  Tensor dy = call.tensor(0).to(at::kFloat).contiguous(), x = call.tensor(1).to(at::kFloat).contiguous();
  Tensor gamma = call.tensor(2), beta = call.tensor(3), mean = call.tensor(4), scale = call.tensor(5);
  if (call.flag(7)) {
    // Computes the value before SiLU again. If it were kept, it would double what a norm holds until the gradient.
    auto [factor, offset] = factorAndOffset(s, gamma, beta, mean, scale);
    dy = at::silu_backward(dy, at::addcmul(offset, x, factor));
  }
  Sizes byGroup{s.n, s.groups, 1}, byChannel{s.n, s.groups, s.perGroup()}, rows{s.n, s.rows * s.width, s.channels};
  Tensor g = dy.reshape(rows), v = x.reshape(rows);
  auto wide = [&](const Tensor& t) { return t.expand(byChannel).reshape({s.n, 1, s.channels}); };
  Tensor m = mean.reshape(byGroup), r = scale.reshape(byGroup);
  // By channel of a sample: the sums of dy, and of dy * (x - mean) * scale.
  Tensor sums = g.sum(1).reshape(byChannel), products = (v - wide(m)).mul_(g).sum(1).reshape(byChannel) * r;
  Tensor weight = gamma.reshape({1, s.groups, s.perGroup()});
  Tensor sum = (sums * weight).sum(2, true), product = (products * weight).sum(2, true); // by group, after gamma
  double count = (double)s.rows * s.width * s.perGroup();
  Tensor along = r * product / count;
  Tensor dx = at::addcmul(wide(m * r * along - r * sum / count), g, wide(weight * r)).addcmul_(v, wide(r * along), -1);
  call.result(dx.reshape(x.sizes()).to(type));
  call.result(products.sum(0).reshape({s.channels}));
  call.result(sums.sum(0).reshape({s.channels}));
}

// dx, and dgamma and dbeta added to, from dy with its border; both as they are stored.
template <typename Y, typename X>
void gradients(const Shape& s, const Tensor& dy, const Border& border, const Tensor& x, const float* gamma,
               const float* beta, const Tensor& mean, const Tensor& scale, bool silu, Tensor& dx, float* dgamma,
               float* dbeta) {
  int64_t height = x.size(2);
  for (int64_t n = 0; n < s.n; n++) {
    const float *m = mean.data_ptr<float>() + n * s.groups, *r = scale.data_ptr<float>() + n * s.groups;
    Coefficients by = coefficientsOf(s, gamma, beta, m, r);
    GradientRow coefficients{by.a.data(), by.b.data(), by.mean.data(), by.scale.data()};
    const X* from = x.data_ptr<X>() + n * s.rows * s.row.size;
    X* to = dx.data_ptr<X>() + n * s.rows * s.row.size;
    auto [sums, products] = sumRows(s, [&](int64_t start, int64_t end, double* sum, double* product) {
      std::vector<float> row(s.row.size);
      std::vector<const Y*> copies;
      for (int64_t i = start; i < end; i++) {
        rowsOf<const Y>(dy.data_ptr<Y>(), x.sizes(), border, n, i / height, i % height, copies);
        const X* value = from + i * s.row.size;
        X* out = to + i * s.row.size;
        if (border.empty()) {
          auto compute = silu ? rowGradient<true, Y, X> : rowGradient<false, Y, X>;
          compute(copies[0], value, coefficients, s.row, out, sum, product);
        } else {
          foldRow(copies, border.before[2], border.after[2], s.width, s.channels, row.data());
          auto compute = silu ? rowGradient<true, float, X> : rowGradient<false, float, X>;
          compute(row.data(), value, coefficients, s.row, out, sum, product);
        }
      }
    });
    std::vector<float> p(s.channels), q(s.channels), offset(s.channels);
    double count = (double)s.rows * s.width * s.perGroup();
    for (int64_t group = 0; group < s.groups; group++) {
      double sum = 0, product = 0; // over the group, of the gradient after gamma
      int64_t start = group * s.perGroup(), end = start + s.perGroup();
      for (int64_t c = start; c < end; c++) {
        sum += gamma[c] * sums[c];
        product += gamma[c] * products[c];
      }
      double along = (double)r[group] * r[group] * product / count;
      for (int64_t c = start; c < end; c++) {
        dgamma[c] += (float)products[c];
        dbeta[c] += (float)sums[c];
        p[c] = gamma[c] * r[group];
        q[c] = (float)-along;
        offset[c] = (float)(m[group] * along - r[group] * sum / count);
      }
    }
    std::vector<float> ps = repeated(p), qs = repeated(q), offsets = repeated(offset);
    at::parallel_for(0, s.rows, 16, [&](int64_t start, int64_t end) {
      for (int64_t i = start; i < end; i++)
        rowInputGradient(from + i * s.row.size, ps.data(), qs.data(), offsets.data(), s.row, to + i * s.row.size);
    });
  }
}

// (dy, x, gamma, beta, mean, scale, groups, silu) -> dx, dgamma, dbeta
void groupNormGradient(Call& call) {
  Slot& given = call.slot(0);
  Tensor x = call.tensor(1).contiguous(), gamma = call.tensor(2).contiguous(), beta = call.tensor(3).contiguous();
  Tensor mean = call.tensor(4).contiguous(), scale = call.tensor(5).contiguous();
  Shape s = shapeOf(x, call.integer(6));
  bool silu = call.flag(7);
  if (!call.environment.ownLoops || x.numel() == 0) return groupNormGradientOnDevice(call, s);

  bool folded = given.value.defined();
  Tensor dy = (folded ? given.value : given.gradient).contiguous();
  Border border = folded ? Border{} : given.border;
  Tensor dx = at::empty(x.sizes(), x.options());
  Tensor dgamma = at::zeros({s.channels}, call.floats()), dbeta = at::zeros({s.channels}, call.floats());
  withType(dy, [&](auto out) {
    withType(x, [&](auto in) {
      gradients<decltype(out), decltype(in)>(s, dy, border, x, gamma.data_ptr<float>(), beta.data_ptr<float>(), mean,
                                             scale, silu, dx, dgamma.data_ptr<float>(), dbeta.data_ptr<float>());
    });
  });
  call.result(dx);
  call.result(dgamma);
  call.result(dbeta);
}

} // namespace

void addNorms(Exports& exports) {
  exports.push_back({"", "groupNorm", groupNorm});
  exports.push_back({"", "normalise", normalise});
  exports.push_back({"", "groupNormGradient", groupNormGradient});
}

} // namespace patchwise
