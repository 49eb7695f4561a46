//===- FloatBounds.cpp - Floats -------------------------------------------===//
#include "fovea/Analysis/Bounds.h"
#include "fovea/Support/TotalArithmetic.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

using namespace fovea;

FloatBounds::FloatBounds() : low(-HUGE_VAL), high(HUGE_VAL), nan(true) {}

FloatBounds FloatBounds::of(double value) {
  if (std::isnan(value))
    return {HUGE_VAL, -HUGE_VAL, true};
  return {value, value};
}

bool FloatBounds::isFinite() const {
  return !nan && low > -HUGE_VAL && high < HUGE_VAL;
}

bool FloatBounds::contains(double value) const {
  return std::isnan(value) ? nan : low <= value && value <= high;
}

FloatBounds fovea::join(const FloatBounds &a, const FloatBounds &b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high), a.nan || b.nan};
}

/// Room for rounding, for kernels' approximations of functions, for overflow
/// and for numbers below the normal range.
static FloatBounds widen(double low, double high, bool nan) {
  constexpr double relative = 0x1p-18, tiny = 1e-37,
                   largest = FLT_MAX * (1 - 0x1p-17);
  if (low > high) // NaN alone
    return {low, high, nan};
  if (std::isfinite(low))
    low -= std::fabs(low) * relative + tiny;
  if (std::isfinite(high))
    high += std::fabs(high) * relative + tiny;
  if (low > largest)
    low = largest;
  if (high < -largest)
    high = -largest;
  return {low < -largest ? -HUGE_VAL : low, high > largest ? HUGE_VAL : high,
          nan};
}

FloatBounds fovea::rounded(const FloatBounds &a) {
  return widen(a.low, a.high, a.nan);
}

static bool isEmpty(const FloatBounds &a) { return a.low > a.high; }

/// The hull of f at the corners, where f is monotonic in either operand; what
/// is undefined at a corner makes everything possible.
template <typename F>
static FloatBounds corners(const FloatBounds &a, const FloatBounds &b, F f) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (double x : {a.low, a.high})
    for (double y : {b.low, b.high}) {
      double value = f(x, y);
      if (std::isnan(value))
        return {};
      low = std::min(low, value);
      high = std::max(high, value);
    }
  return widen(low, high, a.nan || b.nan);
}

static FloatBounds addOrSubtract(const FloatBounds &a, const FloatBounds &b,
                                 double sign) {
  double low = a.low + (sign > 0 ? b.low : -b.high);
  double high = a.high + (sign > 0 ? b.high : -b.low);
  // inf - inf is NaN; the other sums still bound the rest.
  double first = sign > 0 ? b.low : -b.high, last = sign > 0 ? b.high : -b.low;
  bool nan = a.nan || b.nan || (a.low == -HUGE_VAL && last == HUGE_VAL) ||
             (a.high == HUGE_VAL && first == -HUGE_VAL);
  if (std::isnan(low))
    low = -HUGE_VAL;
  if (std::isnan(high))
    high = HUGE_VAL;
  return widen(low, high, nan);
}

static FloatBounds multiply(const FloatBounds &a, const FloatBounds &b) {
  auto hasZero = [](const FloatBounds &x) { return x.low <= 0 && x.high >= 0; };
  auto hasInfinity = [](const FloatBounds &x) {
    return x.low == -HUGE_VAL || x.high == HUGE_VAL;
  };
  bool nan = (hasZero(a) && hasInfinity(b)) || (hasZero(b) && hasInfinity(a));
  FloatBounds out = corners(a, b, [](double x, double y) {
    return x == 0 || y == 0 ? 0 : x * y; // 0 · inf is the NaN above
  });
  out.nan |= nan;
  return out;
}

static FloatBounds divide(const FloatBounds &a, const FloatBounds &b) {
  if (b.low <= 0 && b.high >= 0)
    return {};
  return corners(a, b, [](double x, double y) { return x / y; });
}

static FloatBounds extremum(const FloatBounds &a, const FloatBounds &b,
                            bool least) {
  bool nan = a.nan || b.nan; // NaN wins
  if (isEmpty(a) || isEmpty(b))
    return FloatBounds::of(NAN);
  return least ? FloatBounds(std::min(a.low, b.low), std::min(a.high, b.high),
                             nan)
               : FloatBounds(std::max(a.low, b.low), std::max(a.high, b.high),
                             nan);
}

/// The hull of a rising function over the part of its domain from `from` on;
/// NaN below.
template <typename F>
static FloatBounds rising(const FloatBounds &a, double from, F f) {
  bool nan = a.nan || a.low < from;
  if (a.high < from)
    return FloatBounds::of(NAN);
  return widen(f(std::max(a.low, from)), f(a.high), nan);
}

static FloatBounds evaluateFunction(NodeKind kind, const FloatBounds &a) {
  constexpr double any = -HUGE_VAL;
  switch (kind) {
  case NodeKind::Exp:
    return rising(a, any, [](double x) { return std::exp(x); });
  case NodeKind::Exp2:
    return rising(a, any, [](double x) { return std::exp2(x); });
  case NodeKind::Log:
    return rising(a, 0, [](double x) { return std::log(x); });
  case NodeKind::Log2:
    return rising(a, 0, [](double x) { return std::log2(x); });
  case NodeKind::Log1p:
    return rising(a, -1, [](double x) { return std::log1p(x); });
  case NodeKind::Tanh:
    return rising(a, any, [](double x) { return std::tanh(x); });
  case NodeKind::Erf:
    return rising(a, any, [](double x) { return std::erf(x); });
  case NodeKind::Sqrt:
    return rising(a, 0, [](double x) { return std::sqrt(x); });
  case NodeKind::Sigmoid:
    return rising(a, any, [](double x) { return 1 / (1 + std::exp(-x)); });
  case NodeKind::Softplus:
    return rising(a, any, [](double x) {
      return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
    });
  case NodeKind::Rsqrt:
    if (a.low <= 0) // 1 / 0 and 1 / -0 as well
      return {};
    return widen(1 / std::sqrt(a.high), 1 / std::sqrt(a.low), a.nan);
  case NodeKind::Floor: // what comes in may lie on either side of a step
    return widen(std::floor(a.low), std::floor(a.high), a.nan);
  case NodeKind::Sin:
  case NodeKind::Cos:
    return widen(-1, 1, a.nan || !a.isFinite());
  case NodeKind::Gelu:
  case NodeKind::Silu:
    // -inf · 0 is NaN; the least value is -0.17 or -0.28.
    return widen(a.low >= 0 ? 0 : -0.28, std::max(a.high, 0.0),
                 a.nan || a.low < -1e30);
  default:
    return {};
  }
}

/// What is the same number on every engine: zeros, infinities that come from
/// infinities, sums and products of small integers.
static std::optional<double>
evaluateExactly(NodeKind kind, const FloatBounds &a, const FloatBounds &b) {
  if (a.nan || b.nan)
    return std::nullopt;
  auto isInfinity = [](const FloatBounds &x) {
    return x.isPoint() && std::isinf(x.low);
  };
  auto isSmall = [](const FloatBounds &x) {
    return x.isPoint() && std::fabs(x.low) <= 1024 &&
           std::floor(x.low) == x.low;
  };
  auto signOf = [](const FloatBounds &x) {
    return x.low > 0 ? 1 : x.high < 0 ? -1 : 0;
  };
  switch (kind) {
  case NodeKind::FSub:
    return evaluateExactly(NodeKind::FAdd, a, {-b.high, -b.low});
  case NodeKind::FAdd:
    if (isSmall(a) && isSmall(b))
      return a.low + b.low;
    for (auto [x, y] : {std::pair(&a, &b), std::pair(&b, &a)})
      if (isInfinity(*x) &&
          (x->low > 0 ? y->low > -HUGE_VAL : y->high < HUGE_VAL))
        return x->low;
    return std::nullopt;
  case NodeKind::FMul:
    if (isSmall(a) && isSmall(b))
      return a.low * b.low;
    for (auto [x, y] : {std::pair(&a, &b), std::pair(&b, &a)}) {
      if (isInfinity(*x) && signOf(*y) != 0)
        return x->low * signOf(*y);
      if (x->isPoint() && x->low == 0 && y->isFinite())
        return 0;
    }
    return std::nullopt;
  case NodeKind::FDiv:
    if (a.isFinite() && isInfinity(b))
      return 0;
    if (a.isPoint() && a.low == 0 && signOf(b) != 0)
      return 0;
    if (isInfinity(a) && b.isFinite() && signOf(b) != 0)
      return a.low * signOf(b);
    return std::nullopt;
  case NodeKind::Exp:
  case NodeKind::Exp2:
    if (isInfinity(a))
      return a.low > 0 ? a.low : 0;
    return std::nullopt;
  case NodeKind::Log1p:
    if (a.isPoint() && a.low == 0)
      return 0;
    return std::nullopt;
  default:
    return std::nullopt;
  }
}

FloatBounds fovea::evaluateFloat(NodeKind kind, const FloatBounds &a,
                                 const FloatBounds &b) {
  bool binary = getSignature(kind).operands.size() == 2;
  if (std::optional<double> exact = evaluateExactly(kind, a, b))
    return FloatBounds::of(*exact);
  if (isEmpty(a) || (binary && isEmpty(b)))
    return kind == NodeKind::Pow ? FloatBounds() : FloatBounds::of(NAN);
  switch (kind) {
  case NodeKind::FAdd:
    return addOrSubtract(a, b, 1);
  case NodeKind::FSub:
    return addOrSubtract(a, b, -1);
  case NodeKind::FMul:
    return multiply(a, b);
  case NodeKind::FDiv:
    return divide(a, b);
  case NodeKind::FMin:
  case NodeKind::FMax:
    return extremum(a, b, kind == NodeKind::FMin);
  case NodeKind::FNeg:
    return {-a.high, -a.low, a.nan};
  case NodeKind::FAbs:
    if (a.low >= 0)
      return a;
    return {a.high <= 0 ? -a.high : 0, std::max(-a.low, a.high), a.nan};
  case NodeKind::FMod:
    if (a.isFinite() && b.isFinite() && b.low > 0 &&
        std::max(-a.low, a.high) < 1e30 * std::min(b.low, 1.0))
      return widen(std::min(0.0, -1e-5 * std::fabs(a.low)),
                   b.high + 1e-5 * std::fabs(a.high), false);
    return {};
  case NodeKind::Pow:
    if (!a.nan && !b.nan && a.low > 0 && b.isFinite() && a.isFinite())
      return corners(a, b, [](double x, double y) { return std::pow(x, y); });
    return {};
  default:
    return evaluateFunction(kind, a);
  }
}

IntBounds fovea::compareFloats(NodeKind kind, const FloatBounds &a,
                               const FloatBounds &b) {
  auto answer = [&](bool always, bool never) {
    bool nan = a.nan || b.nan;
    // A comparison with NaN is false, != is true.
    if (kind == NodeKind::FNe)
      return always          ? IntBounds::of(1)
             : never && !nan ? IntBounds::of(0)
                             : IntBounds(0, 1);
    return always && !nan ? IntBounds::of(1)
           : never        ? IntBounds::of(0)
                          : IntBounds(0, 1);
  };
  bool empty = isEmpty(a) || isEmpty(b); // NaN alone
  bool equal = !empty && a.low == a.high && b.low == b.high && a.low == b.low;
  bool apart = empty || a.high < b.low || b.high < a.low;
  switch (kind) {
  case NodeKind::FEq:
    return answer(equal, apart);
  case NodeKind::FNe:
    return answer(apart, equal);
  case NodeKind::FLt:
    return answer(a.high < b.low && !empty, empty || a.low >= b.high);
  case NodeKind::FLe:
    return answer(a.high <= b.low && !empty, empty || a.low > b.high);
  case NodeKind::FGt:
    return answer(a.low > b.high && !empty, empty || a.high <= b.low);
  case NodeKind::FGe:
    return answer(a.low >= b.high && !empty, empty || a.high < b.low);
  default:
    return {0, 1};
  }
}

FloatBounds fovea::convertToFloat(const IntBounds &a) {
  constexpr int64_t exact = int64_t(1) << 24;
  if (a.low >= -exact && a.high <= exact)
    return {static_cast<double>(a.low), static_cast<double>(a.high)};
  return widen(static_cast<double>(a.low), static_cast<double>(a.high), false);
}

IntBounds fovea::convertToInt(const FloatBounds &a) {
  if (isEmpty(a))
    return IntBounds::of(0);
  IntBounds out(toInt(a.low), toInt(a.high));
  return a.nan ? join(out, IntBounds::of(0)).interval() : out;
}
