//===- IntBounds.cpp - Integers and conditions ----------------------------===//
#include "fovea/Analysis/Bounds.h"
#include "fovea/Support/TotalArithmetic.h"

#include <algorithm>
#include <cmath>

using namespace fovea;

namespace {
/// Residue modulo modulus; modulus 0: the residue itself.
struct Class {
  __int128 modulus, residue;
};
} // namespace

static __int128 gcd(__int128 a, __int128 b) {
  a = a < 0 ? -a : a;
  b = b < 0 ? -b : b;
  if (a == 1 || b == 1)
    return 1;
  while (b != 0) {
    a %= b;
    std::swap(a, b);
  }
  return a;
}

static __int128 positiveMod(__int128 a, __int128 b) {
  __int128 rest = a % b;
  return rest < 0 ? rest + b : rest;
}

static Class classOf(const IntBounds &a) {
  return a.isPoint() ? Class{0, a.low} : Class{a.modulus, a.residue};
}

bool IntBounds::contains(int64_t value) const {
  return low <= value && value <= high &&
         positiveMod(__int128(value) - residue, modulus) == 0;
}

IntBounds fovea::withCongruence(Interval interval, __int128 modulus,
                                __int128 residue) {
  IntBounds out(interval);
  constexpr __int128 largest = __int128(1) << 62;
  if (modulus < 0)
    modulus = -modulus;
  if (modulus == 1 || interval.isPoint() || modulus > largest)
    return out;
  if (modulus == 0) // one value, which is in the interval
    return IntBounds::of(static_cast<int64_t>(residue));
  residue = positiveMod(residue, modulus);
  __int128 low = interval.low + positiveMod(residue - interval.low, modulus);
  __int128 high = interval.high - positiveMod(interval.high - residue, modulus);
  if (low > high)
    return out;
  out.low = static_cast<int64_t>(low);
  out.high = static_cast<int64_t>(high);
  out.modulus = static_cast<int64_t>(modulus);
  out.residue = static_cast<int64_t>(residue);
  return out;
}

IntBounds fovea::join(const IntBounds &a, const IntBounds &b) {
  Interval hull{std::min(a.low, b.low), std::max(a.high, b.high)};
  Class x = classOf(a), y = classOf(b);
  if (x.modulus == 1 || y.modulus == 1)
    return hull;
  return withCongruence(
      hull, gcd(gcd(x.modulus, y.modulus), x.residue - y.residue), x.residue);
}

static IntBounds addOrSubtract(const IntBounds &a, const IntBounds &b,
                               int sign) {
  Interval out;
  bool overflow = sign > 0
                      ? __builtin_add_overflow(a.low, b.low, &out.low) ||
                            __builtin_add_overflow(a.high, b.high, &out.high)
                      : __builtin_sub_overflow(a.low, b.high, &out.low) ||
                            __builtin_sub_overflow(a.high, b.low, &out.high);
  if (overflow) {
    if (a.isPoint() && b.isPoint())
      return IntBounds::of(sign > 0 ? wrapAdd(a.low, b.low)
                                    : wrapSub(a.low, b.low));
    return {};
  }
  Class x = classOf(a), y = classOf(b);
  if (x.modulus == 1 || y.modulus == 1)
    return out;
  return withCongruence(out, gcd(x.modulus, y.modulus),
                        x.residue + sign * y.residue);
}

static IntBounds multiply(const IntBounds &a, const IntBounds &b) {
  if (a.isPoint() && b.isPoint())
    return IntBounds::of(wrapMul(a.low, b.low));
  Interval out{INT64_MAX, INT64_MIN};
  for (int64_t x : {a.low, a.high})
    for (int64_t y : {b.low, b.high}) {
      int64_t product;
      if (__builtin_mul_overflow(x, y, &product))
        return {};
      out = {std::min(out.low, product), std::max(out.high, product)};
    }
  Class x = classOf(a), y = classOf(b);
  constexpr __int128 half = __int128(1) << 62;
  if (x.modulus > half || y.modulus > half)
    return out;
  __int128 modulus = gcd(gcd(x.modulus * y.modulus, x.modulus * y.residue),
                         x.residue * y.modulus);
  return withCongruence(out, modulus, x.residue * y.residue);
}

static IntBounds divide(const IntBounds &a, const IntBounds &b) {
  if (b.isPoint() && b.low == 0)
    return IntBounds::of(0);
  // The quotient is monotonic in either while the divisor keeps its sign.
  if ((b.low <= 0 && b.high >= 0) || (a.low == INT64_MIN && b.low < 0))
    return {};
  Interval out{INT64_MAX, INT64_MIN};
  for (int64_t x : {a.low, a.high})
    for (int64_t y : {b.low, b.high}) {
      int64_t quotient = floorDiv(x, y);
      out = {std::min(out.low, quotient), std::max(out.high, quotient)};
    }
  if (b.isPoint() && !a.isPoint() && a.modulus % b.low == 0 && b.low > 0)
    return withCongruence(out, a.modulus / b.low, floorDiv(a.residue, b.low));
  return out;
}

static IntBounds remainder(const IntBounds &a, const IntBounds &b) {
  if (b.isPoint() && b.low == 0)
    return IntBounds::of(0);
  if (a.isPoint() && b.isPoint())
    return IntBounds::of(floorMod(a.low, b.low));
  if (b.isPoint() && b.low > 0) {
    Interval out{0, b.low - 1};
    if (floorDiv(a.low, b.low) == floorDiv(a.high, b.low))
      out = {floorMod(a.low, b.low), floorMod(a.high, b.low)};
    return withCongruence(out, gcd(a.modulus, b.low), a.residue);
  }
  if (b.low > 0)
    return a.low >= 0 && a.high < b.low ? a : IntBounds(0, b.high - 1);
  if (b.high < 0 && b.low > INT64_MIN)
    return {b.low + 1, 0};
  return {};
}

/// Bit patterns of values from 0 on; others stay unknown.
static IntBounds bits(NodeKind kind, const IntBounds &a, const IntBounds &b) {
  if (a.isPoint() && b.isPoint())
    return IntBounds::of(kind == NodeKind::IAnd  ? (a.low & b.low)
                         : kind == NodeKind::IOr ? (a.low | b.low)
                                                 : (a.low ^ b.low));
  if (kind == NodeKind::IAnd) {
    // x & (2^k - 1) is x % 2^k.
    for (auto [x, y] : {std::pair(&a, &b), std::pair(&b, &a)})
      if (y->isPoint() && y->low >= 0 && y->low < INT64_MAX &&
          (y->low & (y->low + 1)) == 0)
        return remainder(*x, IntBounds::of(y->low + 1));
    if (a.low >= 0 || b.low >= 0)
      return {0, std::min(a.low >= 0 ? a.high : INT64_MAX,
                          b.low >= 0 ? b.high : INT64_MAX)};
  }
  if (a.low < 0 || b.low < 0)
    return {};
  auto cover = static_cast<uint64_t>(a.high | b.high);
  for (int shift : {1, 2, 4, 8, 16, 32})
    cover |= cover >> shift;
  return {0, static_cast<int64_t>(cover)};
}

static IntBounds absolute(const IntBounds &a) {
  if (a.isPoint())
    return IntBounds::of(a.low < 0 ? wrapSub(0, a.low) : a.low);
  if (a.low == INT64_MIN)
    return {};
  if (a.low >= 0)
    return a;
  if (a.high <= 0)
    return addOrSubtract(IntBounds::of(0), a, -1);
  Interval out{0, std::max(-a.low, a.high)};
  // x and -x are both residue or its opposite; equal where twice it is 0.
  return withCongruence(out, gcd(a.modulus, 2 * __int128(a.residue)),
                        a.residue);
}

static IntBounds extremum(const IntBounds &a, const IntBounds &b, bool least) {
  if (least ? a.high <= b.low : a.low >= b.high)
    return a;
  if (least ? b.high <= a.low : b.low >= a.high)
    return b;
  IntBounds both = join(a, b);
  if (least)
    both.high = std::min(a.high, b.high);
  else
    both.low = std::max(a.low, b.low);
  return withCongruence(both.interval(), both.modulus, both.residue);
}

static IntBounds shift(NodeKind kind, const IntBounds &a, const IntBounds &b) {
  if (!b.isPoint())
    return {};
  if (kind == NodeKind::Shr) {
    if (b.low >= 0 && b.low <= 62)
      return divide(a, IntBounds::of(int64_t(1) << b.low));
    return {shiftRight(a.low, b.low), shiftRight(a.high, b.low)};
  }
  if (a.isPoint() || b.low < 0 || b.low > 63)
    return a.isPoint() ? IntBounds::of(shiftLeft(a.low, b.low))
                       : IntBounds::of(0);
  return b.low == 63 ? IntBounds()
                     : multiply(a, IntBounds::of(int64_t(1) << b.low));
}

IntBounds fovea::evaluateInteger(NodeKind kind, const IntBounds &a,
                                 const IntBounds &b) {
  switch (kind) {
  case NodeKind::IAdd:
    return addOrSubtract(a, b, 1);
  case NodeKind::ISub:
    return addOrSubtract(a, b, -1);
  case NodeKind::IMul:
    return multiply(a, b);
  case NodeKind::INeg:
    return addOrSubtract(IntBounds::of(0), a, -1);
  case NodeKind::IAbs:
    return absolute(a);
  case NodeKind::IMin:
  case NodeKind::IMax:
    return extremum(a, b, kind == NodeKind::IMin);
  case NodeKind::FloorDiv:
    return a.isPoint() && b.isPoint() ? IntBounds::of(floorDiv(a.low, b.low))
                                      : divide(a, b);
  case NodeKind::Mod:
    return remainder(a, b);
  case NodeKind::INot:
    return {~a.high, ~a.low};
  case NodeKind::IAnd:
  case NodeKind::IOr:
  case NodeKind::IXor:
    return bits(kind, a, b);
  case NodeKind::Shl:
  case NodeKind::Shr:
    return shift(kind, a, b);
  default:
    return {};
  }
}

/// Whether no integer can be in both.
static bool areApart(const IntBounds &a, const IntBounds &b) {
  if (a.high < b.low || b.high < a.low)
    return true;
  Class x = classOf(a), y = classOf(b);
  if (x.modulus == 1 || y.modulus == 1)
    return false;
  __int128 step = gcd(x.modulus, y.modulus);
  return step != 0 && positiveMod(x.residue - y.residue, step) != 0;
}

IntBounds fovea::evaluateCondition(NodeKind kind, const IntBounds &a,
                                   const IntBounds &b) {
  auto answer = [](bool always, bool never) {
    return always  ? IntBounds::of(1)
           : never ? IntBounds::of(0)
                   : IntBounds(0, 1);
  };
  bool equal = a.isPoint() && b.isPoint() && a.low == b.low;
  switch (kind) {
  case NodeKind::BAnd:
    return {a.low & b.low, a.high & b.high};
  case NodeKind::BOr:
    return {a.low | b.low, a.high | b.high};
  case NodeKind::BNot:
    return {1 - a.high, 1 - a.low};
  case NodeKind::BXor:
    return answer(a.isPoint() && b.isPoint() && a.low != b.low, equal);
  case NodeKind::IEq:
    return answer(equal, areApart(a, b));
  case NodeKind::INe:
    return answer(areApart(a, b), equal);
  case NodeKind::ILt:
    return answer(a.high < b.low, a.low >= b.high);
  case NodeKind::ILe:
    return answer(a.high <= b.low, a.low > b.high);
  case NodeKind::IGt:
    return answer(a.low > b.high, a.high <= b.low);
  case NodeKind::IGe:
    return answer(a.low >= b.high, a.high < b.low);
  default:
    return {0, 1};
  }
}
