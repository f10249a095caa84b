// GroupNorm + SiLU in one pass over memory. It writes the border that the next convolution needs. The gradient reads the
// bordered gradient of that convolution as it is. Statistics are float32 sums by row, and double over rows.
#include <torch/version.h>
#include <cmath>
#include "binding/call.h"
#include "convolution/border.h"
#include "norm/norm_rows.h"
#include "processor/tasks.h"

namespace patchwise {
namespace {

// Partial sums are taken over this many shares of a volume, for any number of threads: all get the same result.
constexpr int64_t kShares = 64;

// The variance of all values there are, not an estimate from a sample of them.
#if TORCH_VERSION_MAJOR >= 2
const c10::optional<at::Scalar> kPopulation = at::Scalar(0);
#else
const c10::optional<int64_t> kPopulation = (int64_t)0;
#endif

// Of x [n, d, h, w, channels], the sizes that a norm needs.
struct NormSizes {
  int64_t n, rows, width, channels, groups; // rows = d * h
  Row row;

  NormSizes(const Tensor& x, int64_t groups) : groups(groups) {
    TORCH_CHECK(x.dim() == 5 && groups > 0 && x.size(4) % groups == 0, "x [n, d, h, w, c], c divisible by ", groups);
    n = x.size(0), rows = x.size(1) * x.size(2), width = x.size(3), channels = x.size(4);
    row = {width * channels, periodOf(channels)};
  }
  int64_t perGroup() const { return channels / groups; }
  double count() const { return (double)rows * width * perGroup(); } // of values in a group
};

// One norm, with its statistics.
struct Norm : NormSizes {
  Tensor gamma, beta; // [channels]
  Tensor mean, scale; // [n, groups]; the scale is the reciprocal standard deviation
  bool silu;

  Norm(NormSizes sizes, const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& scale, bool silu)
      : NormSizes(sizes), gamma(gamma.contiguous()), beta(beta.contiguous()), mean(mean.contiguous()),
        scale(scale.contiguous()), silu(silu) {}
};

// Calls body(row, two accumulators [period]) for the rows of a sample, and returns the sums by channel.
template <typename Body>
std::array<std::vector<double>, 2> sumRows(const NormSizes& s, Body body) {
  int64_t period = s.row.period;
  std::vector<double> parts(kShares * 2 * period, 0.0);
  eachIndex(kShares, 1, [&](int64_t share) {
    double* sums = &parts[share * 2 * period];
    body(s.rows * share / kShares, s.rows * (share + 1) / kShares, sums, sums + period);
  });
  std::array<std::vector<double>, 2> sums{std::vector<double>(s.channels, 0.0), std::vector<double>(s.channels, 0.0)};
  for (int64_t share = 0; share < kShares; share++)
    for (int which = 0; which < 2; which++)
      for (int64_t i = 0; i < period; i++) sums[which][i % s.channels] += parts[(share * 2 + which) * period + i];
  return sums;
}

// Mean and scale of a sample's groups.
template <typename X>
void statistics(const NormSizes& s, const X* x, double eps, float* mean, float* scale) {
  // Sums are of differences from the first voxel, or the variance of a bright volume would drown in its mean.
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

// Of sample n.
Coefficients coefficientsOf(const Norm& s, int64_t n) {
  const float *gamma = s.gamma.data_ptr<float>(), *beta = s.beta.data_ptr<float>();
  const float *mean = s.mean.data_ptr<float>() + n * s.groups, *scale = s.scale.data_ptr<float>() + n * s.groups;
  std::vector<float> a(s.channels), b(s.channels), m(s.channels), r(s.channels);
  for (int64_t c = 0; c < s.channels; c++) {
    m[c] = mean[c / s.perGroup()];
    r[c] = scale[c / s.perGroup()];
    a[c] = gamma[c] * r[c];
    b[c] = beta[c] - m[c] * a[c];
  }
  return {repeated(a), repeated(b), repeated(m), repeated(r)};
}

// Writes each row inside the border, and copies it to where the border repeats it.
template <typename X, typename Y>
void apply(const Norm& s, const Tensor& x, int64_t n, const Border& border, Tensor& out) {
  int64_t height = x.size(2), full = out.size(3) * s.channels, left = border.before[2];
  Coefficients by = coefficientsOf(s, n);
  at::parallel_for(0, s.rows, 16, [&](int64_t from, int64_t to) {
    std::vector<Y*> copies;
    for (int64_t row = from; row < to; row++) {
      rowsOf(out.data_ptr<Y>(), x.sizes(), border, n, row / height, row % height, copies);
      Y* target = copies[0];
      Y* inside = target + left * s.channels;
      const X* source = x.data_ptr<X>() + (n * s.rows + row) * s.row.size;
      if (s.silu) rowApply<true>(source, by.a.data(), by.b.data(), s.row, inside);
      else rowApply<false>(source, by.a.data(), by.b.data(), s.row, inside);
      size_t voxel = s.channels * sizeof(Y);
      for (int64_t i = 0; i < left; i++) std::memcpy(target + i * s.channels, inside, voxel);
      for (int64_t i = 0; i < border.after[2]; i++)
        std::memcpy(inside + (s.width + i) * s.channels, inside + (s.width - 1) * s.channels, voxel);
      for (size_t i = 1; i < copies.size(); i++) std::memcpy(copies[i], target, full * sizeof(Y));
    }
  });
}

// Some planes of a volume. ATen computes floats from them, so its copies in floats are small beside the volume. Parts
// depend on the shape alone, so sums over them are the same every time.
struct Part {
  int64_t start, planes;
  Tensor of(const Tensor& volume) const { return volume.narrow(1, start, planes); }
};

std::vector<Part> partsOf(const Tensor& x) {
  constexpr int64_t kLeast = 1 << 16, kMost = 1 << 26; // numbers
  int64_t depth = x.size(1), numbers = std::clamp(x.numel() / 8, kLeast, kMost);
  int64_t planes = x.numel() == 0 ? depth : std::max<int64_t>(1, numbers * depth / x.numel());
  if (planes >= depth) return {{0, depth}};
  std::vector<Part> parts;
  for (int64_t start = 0; start < depth; start += planes) parts.push_back({start, std::min(planes, depth - start)});
  return parts;
}

const Sizes kVolume{1, 2, 3}; // the axes of one channel

// A value of each group, [n, groups], as one of each channel, [n, 1, 1, 1, channels].
Tensor byChannel(const NormSizes& s, const Tensor& ofGroups) {
  return ofGroups.reshape({s.n, s.groups, 1}).expand({s.n, s.groups, s.perGroup()}).reshape({s.n, 1, 1, 1, s.channels});
}

// The sum of each group, [n, groups], from one of each channel.
Tensor sumGroups(const NormSizes& s, const Tensor& ofChannels) {
  return ofChannels.reshape({s.n, s.groups, s.perGroup()}).sum(2);
}

// Mean and scale by ATen, from those of each part and channel. All have weights: the last part may have fewer planes.
std::array<Tensor, 2> statisticsOnDevice(const NormSizes& s, const Tensor& x, double eps) {
  std::vector<Tensor> means, variances;
  std::vector<double> shares;
  for (const Part& part : partsOf(x)) {
    auto [variance, mean] = at::var_mean(part.of(x).to(at::kFloat), at::OptionalIntArrayRef(at::IntArrayRef(kVolume)),
                                         kPopulation, false);
    means.push_back(mean), variances.push_back(variance);
    shares.push_back((double)part.planes / x.size(1) / s.perGroup());
  }
  auto averaged = [&](const std::vector<Tensor>& values) {
    Tensor sum = values[0] * shares[0];
    for (size_t i = 1; i < values.size(); i++) sum += values[i] * shares[i];
    return sumGroups(s, sum);
  };
  Tensor center = averaged(means), wide = byChannel(s, center).reshape({s.n, s.channels});
  for (size_t i = 0; i < means.size(); i++) variances[i] += (means[i] - wide).square_();
  return {center, averaged(variances).add_(eps).rsqrt_()};
}

// By channel, [n, 1, 1, 1, channels]: x * factor + offset = gamma * scale * (x - mean) + beta.
std::array<Tensor, 2> factorAndOffset(const Norm& s) {
  Tensor factor = byChannel(s, s.scale) * s.gamma;
  return {factor, s.beta - byChannel(s, s.mean) * factor};
}

void applyOnDevice(const Norm& s, const Tensor& x, Slot& slot) {
  auto [factor, offset] = factorAndOffset(s);
  for (const Part& part : partsOf(x)) {
    Tensor y = at::addcmul(offset, part.of(x), factor);
    part.of(slot.value).copy_(s.silu ? at::silu_(y) : y);
  }
  spreadBorder(slot.bordered, slot.border);
}

// gamma * scale * (x - mean) + beta, with the border that the next 3x3x3 convolution needs.
Slot normalised(const Environment& environment, const Norm& s, const Tensor& x) {
  if (x.numel() == 0) return x.to(environment.storage);
  Slot slot;
  slot.border = {{1, 1, 1}, {1, 1, 1}};
  slot.bordered = at::empty(slot.border.around(x.sizes()), x.options().dtype(environment.storage));
  slot.value = insideOf(slot.bordered, slot.border);
  if (!takesOwnLoops(x)) {
    applyOnDevice(s, x, slot);
    return slot;
  }
  withType(x, [&](auto in) {
    withType(slot.bordered, [&](auto out) {
      for (int64_t n = 0; n < s.n; n++)
        apply<decltype(in), decltype(out)>(s, x, n, slot.border, slot.bordered);
    });
  });
  return slot;
}

// y, mean, scale
Results groupNorm(Environment& environment, Tensor x, Tensor gamma, Tensor beta, int64_t groups, double eps, bool silu) {
  x = x.contiguous();
  NormSizes s(x, groups);
  Tensor mean, scale;
  if (takesOwnLoops(x)) {
    mean = at::empty({s.n, groups}, environment.floats()), scale = at::empty({s.n, groups}, environment.floats());
    withType(x, [&](auto in) {
      for (int64_t n = 0; n < s.n; n++)
        statistics(s, x.data_ptr<decltype(in)>() + n * s.rows * s.row.size, eps, mean.data_ptr<float>() + n * groups,
                   scale.data_ptr<float>() + n * groups);
    });
  } else {
    auto [center, reciprocal] = statisticsOnDevice(s, x, eps);
    mean = center, scale = reciprocal;
  }
  return {normalised(environment, Norm(s, gamma, beta, mean, scale, silu), x), mean, scale};
}

Slot normalise(Environment& environment, Tensor x, Tensor gamma, Tensor beta, Tensor mean, Tensor scale, int64_t groups,
               bool silu) {
  x = x.contiguous();
  return normalised(environment, Norm(NormSizes(x, groups), gamma, beta, mean, scale, silu), x);
}

// dx holds the gradient before SiLU at first, as it is stored: once the sums are known, it becomes that of x.
Results gradientOnDevice(const Norm& s, const Tensor& dy, const Tensor& x) {
  auto [factor, offset] = factorAndOffset(s);
  Tensor mean = byChannel(s, s.mean), scale = byChannel(s, s.scale), dx = at::empty_like(x);
  Tensor sums = at::zeros_like(mean), products = at::zeros_like(mean); // of g, and of g * (x - mean)
  for (const Part& part : partsOf(x)) {
    Tensor g = part.of(dy).to(at::kFloat), v = part.of(x);
    // Computes the value before SiLU again. If it were kept, it would double what a norm holds until the gradient.
    if (s.silu) g = at::silu_backward(g, at::addcmul(offset, v, factor));
    part.of(dx).copy_(g);
    sums += g.sum(kVolume, true);
    products += at::sub(v, mean).mul_(g).sum(kVolume, true);
  }
  products *= scale;
  auto averaged = [&](const Tensor& ofChannels) {
    return byChannel(s, sumGroups(s, ofChannels * s.gamma)) * scale / s.count();
  };
  Tensor along = averaged(products) * scale, start = mean * along - averaged(sums);
  for (const Part& part : partsOf(x)) {
    Tensor to = part.of(dx);
    to.copy_(at::addcmul(start, to, factor).addcmul_(part.of(x), along, -1));
  }
  return {dx, products.sum(0).reshape({s.channels}), sums.sum(0).reshape({s.channels})};
}

// dx, and dgamma and dbeta added to, from dy with its border; both as they are stored.
template <typename Y, typename X>
void gradients(const Norm& s, const Tensor& dy, const Border& border, const Tensor& x, Tensor& dx, float* dgamma,
               float* dbeta) {
  int64_t height = x.size(2);
  const float* gamma = s.gamma.data_ptr<float>();
  for (int64_t n = 0; n < s.n; n++) {
    const float *m = s.mean.data_ptr<float>() + n * s.groups, *r = s.scale.data_ptr<float>() + n * s.groups;
    Coefficients by = coefficientsOf(s, n);
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
          auto compute = s.silu ? rowGradient<true, Y, X> : rowGradient<false, Y, X>;
          compute(copies[0], value, coefficients, s.row, out, sum, product);
        } else {
          foldRow(copies, border, s.width, s.channels, row.data());
          auto compute = s.silu ? rowGradient<true, float, X> : rowGradient<false, float, X>;
          compute(row.data(), value, coefficients, s.row, out, sum, product);
        }
      }
    });
    std::vector<float> p(s.channels), q(s.channels), offset(s.channels);
    for (int64_t group = 0; group < s.groups; group++) {
      double sum = 0, product = 0; // over the group, of the gradient after gamma
      int64_t start = group * s.perGroup(), end = start + s.perGroup();
      for (int64_t c = start; c < end; c++) {
        sum += gamma[c] * sums[c];
        product += gamma[c] * products[c];
      }
      double along = (double)r[group] * r[group] * product / s.count();
      for (int64_t c = start; c < end; c++) {
        dgamma[c] += (float)products[c];
        dbeta[c] += (float)sums[c];
        p[c] = gamma[c] * r[group];
        q[c] = (float)-along;
        offset[c] = (float)(m[group] * along - r[group] * sum / s.count());
      }
    }
    std::vector<float> ps = repeated(p), qs = repeated(q), offsets = repeated(offset);
    eachIndex(s.rows, 16, [&](int64_t i) {
      rowInputGradient(from + i * s.row.size, ps.data(), qs.data(), offsets.data(), s.row, to + i * s.row.size);
    });
  }
}

// dx, dgamma, dbeta
Results groupNormGradient(Environment& environment, Slot& given, Tensor x, Tensor gamma, Tensor beta, Tensor mean,
                          Tensor scale, int64_t groups, bool silu) {
  x = x.contiguous();
  Norm s(NormSizes(x, groups), gamma, beta, mean, scale, silu);
  if (!takesOwnLoops(x)) return gradientOnDevice(s, insideValueOf(given), x);
  bool folded = given.value.defined();
  Tensor dy = (folded ? given.value : given.gradient).contiguous();
  Border border = folded ? Border{} : given.border;
  Tensor dx = at::empty(x.sizes(), x.options());
  Tensor dgamma = at::zeros({s.channels}, environment.floats()), dbeta = at::zeros({s.channels}, environment.floats());
  withType(dy, [&](auto out) {
    withType(x, [&](auto in) {
      gradients<decltype(out), decltype(in)>(s, dy, border, x, dx, dgamma.data_ptr<float>(), dbeta.data_ptr<float>());
    });
  });
  return {dx, dgamma, dbeta};
}

const Exports norms{"kernels", {
  {"groupNorm", groupNorm},
  {"normalise", normalise},
  {"groupNormGradient", groupNormGradient},
}};

} // namespace
} // namespace patchwise
